//! How a float is spelt: as Python's `repr` does, the shortest digits that round-trip, of two
//! equally near spellings the even one (which Rust's own formatting does not choose).

/// Writes a finite float: `1.0`, `1e-07`, `1e+16`, `-0.0`.
pub(super) fn write_float(value: f64, out: &mut String) {
    let mut buffer = zmij::Buffer::new();
    let spelt = buffer.format_finite(value);
    let size = value.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        out.push_str(spelt);
    } else if let Some((digits, exponent)) = spelt.split_once('e') {
        write_scientific(digits, exponent, out);
    } else {
        // 0.0000123, which Python writes as 1.23e-05.
        let (sign, positive) = spelt.split_at(usize::from(value < 0.0));
        out.push_str(sign);
        let digits = positive.trim_start_matches(['0', '.']);
        let (first, others) = digits.split_at_checked(1).unwrap_or((digits, ""));
        out.push_str(first);
        out.push_str(if others.is_empty() { "" } else { "." });
        write_scientific(others, "-5", out);
    }
}

/// Writes digits and an exponent; Python gives an exponent its sign and at least two digits.
fn write_scientific(digits: &str, exponent: &str, out: &mut String) {
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ("-", exponent),
        None => ("+", exponent.trim_start_matches('+')),
    };
    let padding = if exponent.len() < 2 { "0" } else { "" };
    out.extend([digits, "e", sign, padding, exponent]);
}
