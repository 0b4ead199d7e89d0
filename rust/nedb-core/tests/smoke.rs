use nedb_core::*;
#[test]
fn smoke() {
    let db = Database::in_memory(Options::default()).unwrap();
    let w = WriteOptions::default();
    println!("{}", db.put("users", "alice", r#"{"name":"Alice","age":31,"status":"active"}"#, &w).unwrap());
    println!("{}", db.put("users", "bob", r#"{"name":"Bob","age":40,"status":"active"}"#, &w).unwrap());
    println!("{:?}", db.get("users", "alice", &ReadOptions::default()).unwrap());
    let rows = db.query(r#"FROM users WHERE status = "active" ORDER BY age DESC"#, &Params::none()).unwrap();
    for r in rows.iter() { println!("{r}"); }
    db.create_index("users", "age", IndexKind::Ordered).unwrap();
    db.create_index("users", "name", IndexKind::Search).unwrap();
    for q in ["FROM users ORDER BY age DESC LIMIT 1", "FROM users SEARCH \"alice\"", "EXPLAIN FROM users ORDER BY age DESC LIMIT 1", "FROM users GROUP BY status COUNT, AVG age", "FROM users AS OF 0"] {
        println!("{q}");
        for r in db.query(q, &Params::none()).unwrap().iter() { println!("  {r}"); }
    }
    println!("{}", db.op(0).unwrap().unwrap());
    assert!(db.verify().unwrap());
    println!("{}", db.verify_report().unwrap().to_json());
    assert!(db.verify_determinism().unwrap());
}
