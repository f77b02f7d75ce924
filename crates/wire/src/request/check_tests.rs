//! What is taken and what is refused, field by field.

use super::*;
use crate::RegisterRequest;

const INSTANCE: &str = "01938d1c-7f00-7abc-8def-0123456789ab";

fn begin(body: &str) -> Result<CheckedBegin, Invalid> {
    begin_within(body, &Limits::default())
}

fn begin_within(body: &str, limits: &Limits) -> Result<CheckedBegin, Invalid> {
    let request = serde_json::from_str(body).expect("a begin");
    let instance = INSTANCE.parse().expect("uuid");
    let arrival = Arrival { instance, at: Wall(1_000), traceparent: None };
    check_begin(request, limits, &arrival)
}

fn spec(body: &str) -> Spec {
    begin(body).unwrap_or_else(|invalid| panic!("{body}: {invalid}")).spec
}

fn branch(body: &str) -> BranchSpec {
    let request = serde_json::from_str(body).expect("a branch");
    check_branch(request, &Limits::default()).expect(body)
}

#[test]
fn defaults_are_filled_in() {
    let checked = begin(r#"{"branches":[{"endpoint":"http://h:1/a"}]}"#).expect("valid");
    let spec = checked.spec;
    assert!(checked.fresh);
    assert_eq!(spec.gid.as_str(), INSTANCE);
    assert!(!spec.open);
    assert_eq!((spec.created_at, spec.deadline_at), (Wall(1_000), Wall(31_000)));
    assert_eq!(spec.metadata, None);
    let branch = &spec.branches[0];
    assert_eq!((branch.id.as_str(), branch.position), ("b1", 0));
    assert_eq!((&*branch.payload, branch.timeout), ("{}", Duration::from_secs(3)));
    assert_eq!(branch.legs(), "try,confirm,cancel");
}

#[test]
fn everything_given_is_kept() {
    let checked = begin(
        r#"{"gid":"order-1","timeout_ms":100,"metadata":{"b":1,"a":[true]},"open":true,"branches":[
            {"confirm":"http://h:1/c"},
            {"id":"pay","try_by":"initiator","payload": { "n":1.50 },"headers":{"X-T":"eu"},"timeout_ms":10}]}"#,
    )
    .expect("valid");
    let spec = checked.spec;
    assert!(!checked.fresh && spec.open);
    assert_eq!((spec.gid.as_str(), spec.deadline_at), ("order-1", Wall(1_100)));
    assert_eq!(spec.metadata.as_deref(), Some(r#"{"a":[true],"b":1}"#));
    let [first, second] = &spec.branches[..] else { panic!("two branches") };
    assert_eq!((first.id.as_str(), first.legs()), ("b1", "confirm"));
    assert_eq!((second.id.as_str(), second.position), ("pay", 1));
    assert_eq!((&*second.payload, second.legs()), (r#"{ "n":1.50 }"#, "try"));
    assert_eq!(second.headers.get("x-t").map(String::as_str), Some("eu"));
    assert_eq!(second.timeout, Duration::from_millis(10));
}

#[test]
fn a_transaction_is_open_when_it_says_so_or_has_no_branches() {
    let table = [
        ("{}", true),
        (r#"{"open":true}"#, true),
        (r#"{"open":false}"#, true),
        (r#"{"branches":[]}"#, true),
        (r#"{"branches":[{"try":"http://h/"}]}"#, false),
        (r#"{"branches":[{"try":"http://h/"}],"open":false}"#, false),
        (r#"{"branches":[{"try":"http://h/"}],"open":true}"#, true),
    ];
    for (body, open) in table {
        assert_eq!(spec(body).open, open, "{body}");
    }
}

#[test]
fn a_field_that_is_not_as_it_must_be_is_named() {
    let long = format!(r#"{{"metadata":{{"a":"{}"}}}}"#, "m".repeat(4_096));
    let many = format!(r#"{{"branches":[{}]}}"#, vec![r#"{"try":"http://h/"}"#; 65].join(","));
    let table = [
        (r#"{"gid":""}"#, "gid: must be 1 to 128"),
        (r#"{"gid":"a/b"}"#, "gid: may contain only"),
        (r#"{"timeout_ms":99}"#, "timeout_ms: must be 100 to 86400000, this is 99"),
        (r#"{"timeout_ms":86400001}"#, "timeout_ms: must be"),
        (r#"{"branches":[{}]}"#, "branches[0]: a branch needs at least one URL"),
        (r#"{"branches":[{"id":"-","try":"http://h/"}]}"#, "branches[0].id: must begin"),
        (
            r#"{"branches":[{"id":"b2","try":"http://h/"},{"try":"http://h/"}]}"#,
            "branches[1].id: b2 is the id of an earlier branch",
        ),
        (
            r#"{"branches":[{"try":"http://h/","timeout_ms":9}]}"#,
            "branches[0].timeout_ms: must be 10",
        ),
        (r#"{"branches":[{"try":"http://h/","timeout_ms":600001}]}"#, "branches[0].timeout_ms: "),
        (
            r#"{"branches":[{"try":"http://h/","headers":{"Host":"x"}}]}"#,
            "branches[0].headers.Host: ",
        ),
        (
            r#"{"branches":[{"confirm":"http://h/","try_by":"initiator"}]}"#,
            "branches[0].try_by: `initiator` is possible in an open",
        ),
        (
            r#"{"open":true,"branches":[{"try":"http://h/","try_by":"initiator"}]}"#,
            "branches[0].try_by: `initiator` goes without",
        ),
        (
            r#"{"open":true,"branches":[{"endpoint":"http://h/","try_by":"initiator"}]}"#,
            "branches[0].try_by: `initiator` goes without",
        ),
        (&long, "metadata: must be at most 4096 bytes"),
        (&many, "branches: may be at most 64, these are 65"),
    ];
    for (body, expected) in table {
        let invalid = begin(body).expect_err(body);
        assert!(invalid.to_string().starts_with(expected), "{body}: {invalid}");
        assert!(!invalid.too_large, "{body}");
    }
}

#[test]
fn whom_to_ask_is_said_of_an_open_transaction_alone() {
    let asked = spec(r#"{"open":true,"check":"http://h:1/c?a=b"}"#);
    assert_eq!(asked.check().map(|url| url.as_str()), Some("http://h:1/c?a=b"));
    assert_eq!(spec(r#"{"check":"http://h/"}"#).check().map(|url| url.as_str()), Some("http://h/"));
    assert!(spec(r#"{"open":true,"check":null}"#).options.is_none());
    let month = 2_592_000_000_u64;
    let table = [
        (
            with_branch("").replace("\"branches\"", "\"check\":\"http://h/\",\"branches\""),
            "check: only an open",
        ),
        (r#"{"check":"h/c"}"#.to_owned(), "check: must be a whole URL"),
        (r#"{"check":"ftp://h/c"}"#.to_owned(), "check: must be an http or https URL"),
        (r#"{"check":""}"#.to_owned(), "check: must be a whole URL"),
        (format!(r#"{{"timeout_ms":{month}}}"#), "timeout_ms: must be 100 to 86400000"),
        (
            format!(r#"{{"check":"http://h/","timeout_ms":{}}}"#, month + 1),
            "timeout_ms: must be 100 to 2592000000",
        ),
    ];
    for (body, expected) in &table {
        let invalid = begin(body).expect_err(body);
        assert!(invalid.to_string().starts_with(expected), "{body}: {invalid}");
    }
    for pattern in ["tcc", "saga"] {
        let body = format!(
            r#"{{"pattern":"{pattern}","open":true,"check":"http://h/","timeout_ms":{month}}}"#
        );
        assert!(begin(&body).is_ok(), "{body}");
    }
    // It is part of what was asked for.
    let fingerprint = |body: &str| spec(body).fingerprint;
    let asked = fingerprint(r#"{"check":"http://h/"}"#);
    assert_eq!(asked, fingerprint(r#"{"open":true,"check":"http://h"}"#));
    assert_ne!(asked, fingerprint(r#"{"open":true}"#));
    assert_ne!(asked, fingerprint(r#"{"check":"http://h/x"}"#));
}

#[test]
fn a_payload_over_its_limit_is_too_large_rather_than_invalid() {
    let of = |len: usize| {
        format!(r#"{{"branches":[{{"try":"http://h/","payload":"{}"}}]}}"#, "p".repeat(len - 2))
    };
    let limits = Limits { payload_bytes: 32, ..Limits::default() };
    assert!(begin_within(&of(32), &limits).is_ok());
    let invalid = begin_within(&of(33), &limits).expect_err("over");
    assert!(invalid.too_large);
    let expected = "branches[0].payload: must be at most 32 bytes long, this has 33";
    assert_eq!(invalid.to_string(), expected);
}

#[test]
fn a_registered_branch_needs_an_id_and_a_leg() {
    let check = |body: &str| {
        let request = serde_json::from_str(body).expect("a branch");
        check_branch(request, &Limits::default()).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(check(r#"{"try":"http://h/"}"#), Err("id: is required".to_owned()));
    let error = check(r#"{"id":"a"}"#).expect_err("no leg");
    assert!(error.starts_with("endpoint: a branch needs"), "{error}");
    assert_eq!(check(r#"{"id":"a","try_by":"initiator"}"#), Ok(()));
    assert_eq!(check(r#"{"id":"a","cancel":"http://h/"}"#), Ok(()));
}

#[test]
fn a_reason_is_kept_up_to_its_limit() {
    let check =
        |reason: Option<&str>| check_cancel(CancelRequest { reason: reason.map(str::to_owned) });
    assert_eq!(check(None), Ok(None));
    assert_eq!(check(Some("no stock")), Ok(Some(Arc::from("no stock"))));
    assert!(check(Some(&"r".repeat(1_024))).is_ok());
    assert!(check(Some(&"r".repeat(1_025))).expect_err("long").to_string().starts_with("reason: "));
}

/// A begin with one branch of these fields.
fn with_branch(fields: &str) -> String {
    format!(r#"{{"branches":[{{{fields}}}]}}"#)
}

#[test]
fn same_content_has_the_same_fingerprint() {
    let full = r#""endpoint":"http://h:1/a""#;
    let table = [
        ("{}".to_owned(), r#"{"open":true,"timeout_ms":30000,"branches":[],"gid":"x"}"#.to_owned()),
        ("{}".to_owned(), r#"{"open":false,"metadata":null}"#.to_owned()),
        (
            r#"{"metadata":{"a":{"c":1,"d":"é"},"b":2}}"#.to_owned(),
            r#"{"metadata": {"b":2, "a":{"d":"\u00e9","c":1}}}"#.to_owned(),
        ),
        (with_branch(full), with_branch(r#""endpoint":"HTTP://H:1/a/","id":"b1""#)),
        (
            with_branch(full),
            with_branch(
                r#""try":"http://h:1/a/try","confirm":"http://h:1/a/confirm","cancel":"http://h:1/a/cancel""#,
            ),
        ),
        (with_branch(full), with_branch(&format!(r#"{full},"payload":{{}}"#))),
        (
            with_branch(full),
            with_branch(&format!(
                r#"{full},"headers":{{}},"try_by":"coordinator","results":false"#
            )),
        ),
        (
            with_branch(&format!(r#"{full},"headers":{{"X-A":"1","x-b":"2"}}"#)),
            with_branch(&format!(r#"{full},"headers":{{"x-B":"2","x-a":"1"}}"#)),
        ),
        (with_branch(r#""try":"http://h:80/""#), with_branch(r#""try":"http://h""#)),
    ];
    for (one, other) in table {
        assert_eq!(spec(&one).fingerprint, spec(&other).fingerprint, "{one} and {other}");
    }
}

#[test]
fn other_content_has_another_fingerprint() {
    let full = r#""endpoint":"http://h:1/a""#;
    let bodies = [
        "{}".to_owned(),
        r#"{"timeout_ms":30001}"#.to_owned(),
        r#"{"metadata":{}}"#.to_owned(),
        r#"{"metadata":{"a":1}}"#.to_owned(),
        r#"{"metadata":{"a":"1"}}"#.to_owned(),
        r#"{"metadata":{"a":1.0}}"#.to_owned(),
        with_branch(full),
        format!(r#"{{"open":true,"branches":[{{{full}}}]}}"#),
        with_branch(&format!(r#"{full},"id":"b2""#)),
        with_branch(&format!(r#"{full},"payload":{{ }}"#)),
        with_branch(&format!(r#"{full},"results":true"#)),
        with_branch(&format!(r#"{full},"payload":null"#)),
        with_branch(&format!(r#"{full},"payload":{{"a":1}}"#)),
        with_branch(&format!(r#"{full},"payload":{{"a":1.0}}"#)),
        with_branch(&format!(r#"{full},"timeout_ms":3001"#)),
        with_branch(&format!(r#"{full},"confirm_after_ms":1"#)),
        with_branch(&format!(r#"{full},"confirm_after_ms":2"#)),
        // Its default is a setting: whoever gives it wants it whatever that is.
        with_branch(&format!(r#"{full},"timeout_ms":3000"#)),
        with_branch(&format!(r#"{full},"headers":{{"a":"bc"}}"#)),
        with_branch(&format!(r#"{full},"headers":{{"ab":"c"}}"#)),
        with_branch(&format!(r#"{full},"headers":{{"a":"","b":"c"}}"#)),
        with_branch(&format!(r#"{full},"headers":{{"b":"bc"}}"#)),
        // These would run together if values were not told apart by their lengths.
        with_branch(&format!(r#"{full},"headers":{{"a":"xheaderbvaluey"}}"#)),
        with_branch(&format!(r#"{full},"headers":{{"a":"x","b":"y"}}"#)),
        with_branch(r#""endpoint":"http://h:1/A""#),
        with_branch(r#""try":"http://h/a""#),
        with_branch(r#""confirm":"http://h/a""#),
        with_branch(r#""cancel":"http://h/a""#),
        r#"{"open":true,"branches":[{"confirm":"http://h/a","try_by":"initiator"}]}"#.to_owned(),
        r#"{"open":true,"branches":[{"confirm":"http://h/a"}]}"#.to_owned(),
        r#"{"branches":[{"id":"a","try":"http://h/"},{"id":"b","try":"http://h/"}]}"#.to_owned(),
        r#"{"branches":[{"id":"b","try":"http://h/"},{"id":"a","try":"http://h/"}]}"#.to_owned(),
    ];
    let fingerprints: BTreeSet<String> =
        bodies.iter().map(|body| spec(body).fingerprint.as_str().to_owned()).collect();
    assert_eq!(fingerprints.len(), bodies.len());
}

#[test]
fn metadata_that_is_shown_and_sent_back_is_the_same_content() {
    let begun = spec(r#"{"metadata":{"a":18446744073709551615,"b":5e-324}}"#);
    let metadata = begun.metadata.expect("given");
    let again = spec(&format!(r#"{{"metadata":{metadata}}}"#));
    assert_eq!(
        (again.metadata.as_deref(), again.fingerprint),
        (Some(&*metadata), begun.fingerprint)
    );
}

#[test]
fn a_fingerprint_never_changes_once_it_is_stored() {
    let body = r#"{"timeout_ms":5000,"metadata":{"a":1},"branches":[{"endpoint":"http://h:1/a","payload":[1]}]}"#;
    let fingerprint = spec(body).fingerprint;
    assert_eq!(
        fingerprint.as_str(),
        "1:99858920fc7f82a82fed4478e0bbe3154a5e0b65a00e57d64c1cd21b7498b593"
    );
}

#[test]
fn a_branch_has_one_fingerprint_at_begin_and_when_registered() {
    let fields = r#""id":"pay","endpoint":"http://h:1/a","payload":{"a":1}"#;
    let registered = branch(&format!("{{{fields}}}"));
    let begun = &spec(&with_branch(fields)).branches[0];
    assert_eq!(registered.fingerprint, begun.fingerprint);
    assert_ne!(
        registered.fingerprint,
        branch(r#"{"id":"pay","endpoint":"http://h:1/a"}"#).fingerprint
    );
}

/// A repeat is the same begin whatever has become of the setting meanwhile.
#[test]
fn the_time_of_a_call_is_a_setting_that_no_fingerprint_knows() {
    let of = |call_timeout, body: &str| {
        let limits = Limits { call_timeout, ..Limits::default() };
        check_branch(serde_json::from_str(body).expect("a branch"), &limits).expect("valid")
    };
    let (short, long) = (Duration::from_secs(3), Duration::from_secs(20));
    let body = r#"{"id":"pay","endpoint":"http://h:1/a"}"#;
    assert_eq!([of(short, body).timeout, of(long, body).timeout], [short, long]);
    assert_eq!(of(short, body).fingerprint, of(long, body).fingerprint);
    let given = r#"{"id":"pay","endpoint":"http://h:1/a","timeout_ms":20000}"#;
    assert_eq!(of(short, given), of(long, given));
    assert_ne!(of(long, given).fingerprint, of(long, body).fingerprint);
}

#[test]
fn a_confirm_is_put_off_for_thirty_days_at_most() {
    let put_off = |fields: &str| {
        let body = format!(r#"{{"id":"a",{fields}}}"#);
        let request = serde_json::from_str(&body).expect("a branch");
        let branch = check_branch(request, &Limits::default()).map_err(|it| it.field)?;
        Ok(branch.confirm_after())
    };
    let refused = Err("confirm_after_ms".to_owned());
    for (fields, expected) in [
        (r#""confirm":"http://h/a""#, Ok(None)),
        (r#""confirm":"http://h/a","confirm_after_ms":1"#, Ok(Some(Duration::from_millis(1)))),
        (
            r#""endpoint":"http://h/a","confirm_after_ms":2592000000"#,
            Ok(Some(Duration::from_millis(2_592_000_000))),
        ),
        (r#""endpoint":"http://h/a","confirm_after_ms":2592000001"#, refused.clone()),
        // What is not called cannot be put off.
        (r#""try":"http://h/a","confirm_after_ms":1"#, refused),
        (r#""try":"http://h/a","confirm_after_ms":0"#, Ok(None)),
    ] {
        assert_eq!(put_off(fields), expected, "{fields}");
    }
    let (without, with) =
        (r#""endpoint":"http://h/a""#, r#""endpoint":"http://h/a","confirm_after_ms":0"#);
    assert_eq!(spec(&with_branch(without)).fingerprint, spec(&with_branch(with)).fingerprint);
}

fn several(body: &str) -> Result<Vec<BranchSpec>, Invalid> {
    let requests = serde_json::from_str(body).expect("branches");
    check_branches(requests, &Limits::default())
}

#[test]
fn what_is_wrong_with_one_of_several_is_told_with_its_place() {
    let good = r#"{"id":"a","endpoint":"http://h/a"}"#;
    let another = |fields: &str| format!(r#"[{good},{{"id":"b",{fields}}}]"#);
    let many = vec![good; 65].join(",");
    for (body, field) in [
        ("[]".to_owned(), "body"),
        (format!("[{many}]"), "[64]"),
        (format!("[{good},{good}]"), "[1].id"),
        (format!(r#"[{good},{{"endpoint":"http://h/a"}}]"#), "[1].id"),
        (another(r#""payload":1"#), "[1]"),
        (another(r#""confirm":"ftp://h/a""#), "[1].confirm"),
        (another(r#""confirm":"http://h/a","headers":{"host":"x"}"#), "[1].headers.host"),
        (another(r#""confirm":"http://h/a","after":["a","a"]"#), "[1].after"),
        (another(r#""try":"http://h/a","confirm_after_ms":1"#), "[1].confirm_after_ms"),
        (another(r#""endpoint":"http://h/a","timeout_ms":1"#), "[1].timeout_ms"),
    ] {
        assert_eq!(several(&body).expect_err(&body).field, field, "{body}");
    }
}

#[test]
fn several_know_who_they_came_with_and_one_alone_is_one() {
    let of = |ids: &[&str]| {
        let branch = |id: &&str| format!(r#"{{"id":"{id}","endpoint":"http://h/a"}}"#);
        let all: Vec<String> = ids.iter().map(branch).collect();
        let all = several(&format!("[{}]", all.join(","))).expect("valid");
        all.into_iter().map(|branch| branch.fingerprint).collect::<Vec<_>>()
    };
    let alone = branch(r#"{"id":"a","endpoint":"http://h/a"}"#).fingerprint;
    assert_eq!(of(&["a"]), std::slice::from_ref(&alone));
    assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
    let (ab, ba, abc) = (of(&["a", "b"]), of(&["b", "a"]), of(&["a", "b", "c"]));
    for a in [&ab[0], &ba[1], &abc[0]] {
        assert!(*a != alone && a.has_content_of(&alone), "{a:?}");
    }
    assert!(ab[0] != ba[1] && ab[0] != abc[0] && !ab[0].has_content_of(&ab[1]));
    assert_eq!(ab[0].among_whom(), ab[1].among_whom());
    assert!(alone.among_whom().is_none() && ab[0].as_str().len() <= 128);
}

#[test]
fn what_is_registered_is_one_branch_or_a_list() {
    use crate::RegisterRequest::{One, Several};
    let read = |body: &str| serde_json::from_str::<RegisterRequest>(body);
    assert!(matches!(read(r#"{"id":"a"}"#), Ok(One(it)) if it.id.as_deref() == Some("a")));
    assert!(matches!(read(r#"[{"id":"a"},{}]"#), Ok(Several(all)) if all.len() == 2));
    for body in ["null", "7", "\"a\"", r#"[[]]"#, r#"[null]"#, r#"[{"idd":"a"}]"#] {
        assert!(read(body).is_err(), "{body}");
    }
}
