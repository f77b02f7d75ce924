//! Settings that are lists and tables, with a schema of these tests' own.

use std::collections::BTreeMap;

use serde::Deserialize;
use tempfile::TempDir;

use super::*;
use crate::secret::{Masked, Secret};

const DOOR: Schema = Schema {
    defaults: "[door]\nopen = false\nkeys = []\nguests = [\"*\"]\n\
               [door.lock]\nowners = {}\nlog = { lines = 10 }\n[lamp]\nwatts = 5\n",
    settings: &[
        ("door.open", Kind::Boolean),
        ("door.keys", Kind::List { of: &KEY, most: 2 }),
        ("door.guests", Kind::List { of: &NAME, most: 100 }),
        ("door.lock.owners", Kind::Map { of: &KEY, most: 2 }),
        ("door.lock.log", Kind::Table(&[field("lines", Kind::Number(1, 99))])),
        ("lamp.watts", Kind::Number(1, 100)),
    ],
};
const NAME: Kind = Kind::Text(Text::shown("a name", |text| !text.is_empty()));
const PIN: Kind = Kind::Text(Text::masked::<Secret<Pin>>("four digits"));
const KEY: Kind = Kind::Table(&[
    field("name", NAME),
    Field { required: false, ..field("uses", Kind::Number(1, 9)) },
    field("pins", Kind::List { of: &PIN, most: 3 }),
]);

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

#[derive(Clone, PartialEq)]
struct Pin(String);

impl std::str::FromStr for Pin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_pin = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_pin { Ok(Self(text.to_owned())) } else { Err("no pin") }
    }
}

#[derive(Debug, Deserialize, PartialEq)]
struct Settings {
    door: Door,
    lamp: BTreeMap<String, i64>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Door {
    open: bool,
    keys: Vec<Key>,
    guests: Vec<String>,
    lock: Lock,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Lock {
    owners: BTreeMap<String, Key>,
    log: BTreeMap<String, i64>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Key {
    name: String,
    uses: Option<u8>,
    pins: Vec<Secret<Pin>>,
}

fn gather(text: &str, environment: &[(&str, &str)]) -> Result<Layers, String> {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("my.toml");
    std::fs::write(&path, text).expect("written");
    let environment = environment.iter().map(|(name, text)| ((*name).into(), (*text).into()));
    Layers::gather_by(&DOOR, Some(&path), environment, &Flags::new())
        .map_err(|error| error.to_string().replace(&path.display().to_string(), "my.toml"))
}

const FILE: &str = "[[door.keys]]\nname = \"ann\"\npins = [\"1234\", \"5678\"]\n\
                    [[door.keys]]\nname = \"bob\"\nuses = 3\npins = []\n\
                    [door.lock]\nowners = { \"CN=x y\" = { name = \"x\", pins = [] } }\n";

#[test]
fn lists_and_tables_are_read_from_a_file_and_from_the_environment() {
    let key = |name: &str, uses, pins: &[&str]| Key {
        name: name.to_owned(),
        uses,
        pins: pins.iter().map(|pin| pin.parse().expect("a pin")).collect(),
    };
    let from_file: Settings = gather(FILE, &[]).expect("valid").read().expect("fits");
    assert!(!from_file.door.open);
    assert_eq!(
        from_file.door.keys,
        [key("ann", None, &["1234", "5678"]), key("bob", Some(3), &[])]
    );
    assert_eq!(from_file.door.guests, ["*"]);
    assert_eq!(from_file.door.lock.owners["CN=x y"], key("x", None, &[]));
    assert_eq!(from_file.door.lock.log["lines"], 10);

    for keys in [
        r#"[{"name": "eve", "uses": 2, "pins": ["0000"]}]"#,
        r#"[{ name = "eve", uses = 2, pins = ["0000"] }]"#,
    ] {
        let given = [
            ("TERCET_DOOR__KEYS", keys),
            ("TERCET_DOOR__OPEN", "true"),
            ("TERCET_DOOR__GUESTS", r#"["a", "b"]"#),
            ("TERCET_DOOR__LOCK__LOG", "{ lines = 7 }"),
        ];
        let layers = gather(FILE, &given).expect(keys);
        let settings: Settings = layers.read().expect("fits");
        assert!(settings.door.open);
        // A later layer's list stands for the earlier one's; nothing is mixed.
        assert_eq!(settings.door.keys, [key("eve", Some(2), &["0000"])]);
        assert_eq!(settings.door.guests, ["a", "b"]);
        assert_eq!(settings.door.lock.log["lines"], 7);
        assert_eq!(settings.door.lock.owners.len(), 1, "the file's");
        let origin = |name| {
            let (.., origin) = layers.shown().find(|(_, key, ..)| *key == name).expect(name);
            origin.to_string()
        };
        assert_eq!(origin("keys"), "environment TERCET_DOOR__KEYS");
        assert_eq!(origin("log"), "environment TERCET_DOOR__LOCK__LOG");
        assert!(origin("owners").starts_with("file "), "{}", origin("owners"));
        assert_eq!(origin("watts"), "default");
    }
}

#[test]
fn an_error_in_a_list_names_index_and_field_and_no_secret() {
    let in_file = [
        (
            "[[door.keys]]\nname = \"a\"\npins = [\"1234\", \"98765\"]",
            "door.keys[0].pins[1] must be four digits",
        ),
        (
            "[[door.keys]]\nname = \"a\"\npins = []\n[[door.keys]]\nname = 1",
            "door.keys[1].name must be a text, not a whole number",
        ),
        ("[[door.keys]]\nname = \"\"\npins = []", "door.keys[0].name must be a name, not \"\""),
        ("[[door.keys]]\nname = \"a\"", "door.keys[0].pins is missing"),
        (
            "[[door.keys]]\nname = \"a\"\nuses = 10\npins = []",
            "door.keys[0].uses must be 1 to 9, not 10",
        ),
        (
            "[[door.keys]]\nname = \"a\"\npin = [\"98765\"]",
            "there is no setting door.keys[0].pin; door.keys[0] has name, uses, pins",
        ),
        ("[door]\nkeys = [1, 2, 3]", "door.keys must have at most 2 items, not 3"),
        ("[door]\nkeys = [7]", "door.keys[0] must be a table, not a whole number"),
        ("[door.keys]\nname = \"a\"", "door.keys must be a list, not a table"),
        ("[door]\nguests = \"a\"", "door.guests must be a list, not a text"),
        ("[door.lock.owners.\"CN=a\"]\nname = \"a\"", "door.lock.owners[\"CN=a\"].pins is missing"),
        ("[door.lock]\nlog = { lines = 0 }", "door.lock.log.lines must be 1 to 99, not 0"),
        ("[door.lock]\nlog = {}", "door.lock.log.lines is missing"),
        ("[door.lock]\nlok = 1", "there is no setting door.lock.lok; [door.lock] has log, owners"),
        ("[door.lok]\nlog = 1", "there is no setting door.lok; [door] has guests, keys, open"),
        ("\"door.open\" = true", "there is no setting door.open; [door] has guests, keys, open"),
        (
            "[wall]\nhigh = 1",
            "there is no setting wall.high; the sections are door, door.lock, lamp",
        ),
    ];
    for (text, expected) in in_file {
        let error = gather(text, &[]).expect_err(text);
        assert_eq!(error, format!("file my.toml: {expected}"));
    }
    for (name, text, expected) in [
        ("DOOR__KEYS", "98765", "door.keys must be a list, not a whole number"),
        ("DOOR__KEYS", "[98765", "door.keys must be a list, as JSON or as in a settings file: "),
        ("DOOR__KEYS", "", "door.keys must be a list, as JSON or as in a settings file: "),
        ("DOOR__KEYS", "[]\nopen = true", "door.keys must be a list, as JSON or as in a settings "),
        (
            "DOOR__GUESTS",
            "[null]",
            "door.guests must be a list, as JSON or as in a settings file: null",
        ),
        (
            "DOOR__KEYS",
            r#"[{"name":"a","pins":["98765"]}]"#,
            "door.keys[0].pins[0] must be four digits",
        ),
        ("DOOR__OPEN", "yes", "door.open must be true or false, not a text"),
        ("DOOR__LOCK__LOK", "1", "there is no setting door.lock.lok; [door.lock] has log, owners"),
    ] {
        let name = format!("TERCET_{name}");
        let error = gather("", &[(&name, text)]).expect_err(text);
        assert!(error.starts_with(&format!("environment {name}: {expected}")), "{error}");
        assert!(!error.contains("98765"), "{error}");
    }
}

#[test]
fn lists_and_tables_are_shown_without_secrets_and_can_be_given_back() {
    let layers = gather(FILE, &[("TERCET_DOOR__GUESTS", "[\"a\"]")]).expect("valid");
    let shown = layers.to_string();
    for line in [
        "[door.lock]",
        r#"guests = ["a"]                                   # environment TERCET_DOOR__GUESTS"#,
        r#"log = { lines = 10 }                             # default"#,
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is missing in\n{shown}");
    }
    assert!(shown.contains(r#"name = "ann", pins = ["***", "***"]"#), "{shown}");
    assert!(!shown.contains("1234"), "{shown}");
    let again = shown.replace("***", "0000");
    let again: Settings = gather(&again, &[]).expect("valid").read().expect("fits");
    assert_eq!(again.door.keys.len(), 2);
    assert_eq!(again.door.lock.owners.len(), 1);

    let settings: Settings = layers.read().expect("fits");
    let debugged = format!("{settings:?}");
    assert!(debugged.contains("pins: [***, ***]"), "{debugged}");
    assert_eq!(settings.door.keys[0].pins[0].expose().0, "1234");
    assert_eq!(Secret::<Pin>::masked("1234"), "***");
}
