//! What can happen to the bytes of a log: each mutation with a name that finds it again.

/// One damaged log.
pub struct Mutation {
    /// What was done to it, and where.
    pub name: String,
    pub log: Vec<u8>,
}

/// Changes the byte at `at` in three ways and, in turn, in one of four more; leaves out what changes
/// nothing.
pub fn of_byte(log: &[u8], at: usize) -> Vec<Mutation> {
    let byte = log[at];
    let set = |new: u8| ("set", [&log[..at], &[new], &log[at + 1..]].concat());
    let in_turn = match at % 4 {
        0 => set(byte ^ 0x20),
        1 => set(0),
        2 => ("delete", [&log[..at], &log[at + 1..]].concat()),
        _ => ("double", [&log[..at], &[byte], &log[at..]].concat()),
    };
    [set(byte ^ 0x01), set(byte ^ 0x80), set(b'\n'), in_turn]
        .into_iter()
        .filter(|(_, changed)| *changed != log)
        .map(|(what, changed)| Mutation {
            name: format!("{what} byte {at}: {:?} -> {:?}", log.get(at), changed.get(at)),
            log: changed,
        })
        .collect()
}

/// Swaps, drops and repeats every line.
pub fn of_lines(log: &[u8]) -> Vec<Mutation> {
    let lines = super::lines(log);
    let mut all = Vec::new();
    for at in 0..lines.len() {
        let mut dropped = lines.clone();
        dropped.remove(at);
        all.push(Mutation { name: format!("drop line {at}"), log: dropped.concat() });
        let mut repeated = lines.clone();
        repeated.insert(at, lines[at]);
        all.push(Mutation { name: format!("repeat line {at}"), log: repeated.concat() });
        if at > 0 {
            let mut swapped = lines.clone();
            swapped.swap(at - 1, at);
            all.push(Mutation {
                name: format!("swap lines {} and {at}", at - 1),
                log: swapped.concat(),
            });
        }
    }
    all
}

/// Finds the first place of `text` from a line's start on, and puts `other` there.
pub fn replaced_in_line(log: &[u8], line: usize, text: &str, other: &str) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = super::lines(log).into_iter().map(<[u8]>::to_vec).collect();
    let whole = String::from_utf8(lines[line].clone()).unwrap();
    assert!(whole.contains(text), "line {line} has no {text}: {whole}");
    lines[line] = whole.replacen(text, other, 1).into_bytes();
    lines.concat()
}

/// Gives a line of ours the hash that its text has, without touching any other line.
pub fn rehashed(log: &[u8], line: usize) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = super::lines(log).into_iter().map(<[u8]>::to_vec).collect();
    let text = String::from_utf8(lines[line].clone()).unwrap();
    let (hash, prev_hash) = (member(&text, "hash"), member(&text, "prev_hash"));
    let body = text.trim_end().replacen(&format!(",\"hash\":\"{hash}\""), "", 1);
    let body = body.replacen(&format!(",\"prev_hash\":\"{prev_hash}\""), "", 1);
    lines[line] = text.replacen(&hash, &hash_of(&prev_hash, &body), 1).into_bytes();
    lines.concat()
}

/// A layout of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Ours,
    Legacy,
}

/// Makes a log of ops, each a kind and a payload in canonical text, whose hashes and links are all right, whatever
/// the payloads are.
pub fn forged(layout: Layout, ops: &[(&str, &str)]) -> Vec<u8> {
    let (mut log, mut prev_hash) = (String::new(), "0".repeat(64));
    for (seq, (op, payload)) in ops.iter().enumerate() {
        let nonce = seq + 1;
        let parts = [
            "\"client\":\"c\"".to_owned(),
            format!("\"idem\":null,\"nonce\":{nonce},\"op\":\"{op}\",\"payload\":{payload}"),
            format!("\"seq\":{seq}"),
            "\"ts\":1.5".to_owned(),
        ];
        let hash = hash_of(&prev_hash, &format!("{{{}}}", parts.join(",")));
        let [client, middle, number, ts] = &parts;
        let (own, prev) =
            (format!("\"hash\":\"{hash}\""), format!("\"prev_hash\":\"{prev_hash}\""));
        log.push_str(&match layout {
            Layout::Ours => format!("{{{client},{own},{middle},{prev},{number},{ts}}}\n"),
            Layout::Legacy => {
                let number = number.replacen(':', ": ", 1);
                format!("{{{number},{client},{middle},{ts},{prev},{own}}}\n")
            }
        });
        prev_hash = hash;
    }
    log.into_bytes()
}

fn member(text: &str, key: &str) -> String {
    let (_, rest) = text.split_once(&format!("\"{key}\":\"")).unwrap();
    rest[..64].to_owned()
}

fn hash_of(prev_hash: &str, body: &str) -> String {
    use blake2::Digest;
    let mut escaped = String::new();
    for unit in body.encode_utf16() {
        match char::from_u32(unit.into()).filter(char::is_ascii) {
            Some(character) => escaped.push(character),
            None => escaped.push_str(&format!("\\u{unit:04x}")),
        }
    }
    let digest = blake2::Blake2b256::digest(format!("{prev_hash}{escaped}").as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
