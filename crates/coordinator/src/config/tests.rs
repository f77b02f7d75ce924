//! Layers, origins and what is refused.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tercet_wire::Backoff;

use super::renamed::RENAMED;
use super::schema::TERCET;
use super::*;

/// A directory with a settings file, or none.
fn file(text: &str) -> (TempDir, std::path::PathBuf) {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("my.toml");
    std::fs::write(&path, text).expect("written");
    (directory, path)
}

fn gather(text: &str, environment: &[(&str, &str)], flags: &Flags) -> Result<Layers, String> {
    let (_directory, path) = file(text);
    let environment = environment.iter().map(|(name, text)| ((*name).into(), (*text).into()));
    Layers::gather(Some(&path), environment, flags)
        .map_err(|error| error.to_string().replace(&path.display().to_string(), "my.toml"))
}

fn origin<'a>(layers: &'a Layers, name: &str) -> (String, &'a Origin) {
    let (section, key) = name.rsplit_once('.').expect("a section");
    let found = layers.shown().find(|(of, own, ..)| (*of, *own) == (section, key));
    let (.., value, origin) = found.expect("a setting");
    (value.to_string(), origin)
}

#[test]
fn the_defaults_are_those_the_contract_promises() {
    let layers = Layers::gather(None, [], &Flags::new()).expect("valid");
    assert_eq!(layers.changed(), 0);
    let settings = layers.settings().expect("the defaults fit");
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:7200");
    assert_eq!(settings.server.max_request_bytes, 1_048_576);
    assert_eq!(settings.database.url.expose(), "sqlite://tercet.db");
    assert_eq!(settings.shutdown.grace, Duration::from_secs(5));
    assert_eq!(settings.retention.transactions, Duration::from_hours(720));
}

#[test]
fn every_setting_has_a_kind_and_a_default_with_a_comment() {
    let defaults: toml::Table = TERCET.defaults.parse().expect("TOML");
    let mut in_file = Vec::new();
    let mut sections: Vec<_> = defaults.into_iter().collect();
    while let Some((section, keys)) = sections.pop() {
        for (key, value) in keys.as_table().expect(&section) {
            let name = format!("{section}.{key}");
            match TERCET.has_section(&name) {
                true => sections.push((name, value.clone())),
                false => in_file.push(name),
            }
        }
    }
    let mut in_schema: Vec<&str> = TERCET.settings.iter().map(|(name, _)| *name).collect();
    in_file.sort_unstable();
    in_schema.sort_unstable();
    assert_eq!(in_schema, in_file);
    for name in in_schema {
        let (_, key) = name.rsplit_once('.').expect("a section");
        let at = TERCET.defaults.find(&format!("\n{key} = ")).expect(name);
        let before = TERCET.defaults[..at].lines().next_back().unwrap_or_default();
        assert!(before.starts_with("# ") && before.ends_with('.'), "{name}: {before}");
    }
}

#[test]
fn later_layers_win_and_each_value_knows_its_origin() {
    let text =
        "[server]\nlisten = \"127.0.0.1:1\"\nmax_connections = 7\n[retry]\ninitial_backoff_ms = 5";
    let environment = [
        ("TERCET_SERVER__LISTEN", "127.0.0.1:2"),
        ("TERCET_RETRY__MAX_BACKOFF_MS", "60"),
        ("HOME", "/"),
        ("TERCET_URL", "http://x"),
        ("TERCET_TOKEN", "t"),
    ];
    let flags = vec![("--listen", "server.listen", "127.0.0.1:3".to_owned())];
    let layers = gather(text, &environment, &flags).expect("valid");
    assert_eq!(layers.changed(), 4);
    let (value, from) = origin(&layers, "server.listen");
    assert_eq!((value.as_str(), from), ("\"127.0.0.1:3\"", &Origin::Flag("--listen")));
    let (value, from) = origin(&layers, "retry.max_backoff_ms");
    let variable = Origin::Environment("TERCET_RETRY__MAX_BACKOFF_MS".to_owned());
    assert_eq!((value.as_str(), from), ("60", &variable));
    assert!(matches!(origin(&layers, "retry.initial_backoff_ms").1, Origin::File(_)));
    assert_eq!(origin(&layers, "node.id").1, &Origin::Default);
    let settings = layers.settings().expect("valid");
    assert_eq!(settings.server.listen.port(), 3);
    assert_eq!(settings.server.max_connections, 7);
    assert_eq!(settings.retry.max_backoff, Duration::from_millis(60));
}

#[test]
fn a_name_that_is_no_setting_is_refused_with_those_there_are() {
    for (text, expected) in [
        (
            "[server]\nlisten_on = 1",
            "file my.toml: there is no setting server.listen_on; [server] has ",
        ),
        (
            "[sever]\nlisten = 1",
            "file my.toml: there is no setting sever.listen; the sections are alerts, ",
        ),
        ("[sever]", "file my.toml: there is no setting sever.*; the sections are "),
        ("listen = 1", "file my.toml: there is no setting listen; the sections are "),
        (
            "[server.tls]\nkey = 1",
            "file my.toml: there is no setting server.tls.key; [server.tls] has ",
        ),
        ("[server.ssl]\nkey = 1", "file my.toml: there is no setting server.ssl; "),
    ] {
        let error = gather(text, &[], &Flags::new()).expect_err(text);
        assert!(error.starts_with(expected), "{error}");
    }
    for name in ["TERCET_SERVER__LISTN", "TERCET_SEVER__LISTEN", "TERCET__LISTEN", "TERCET___"] {
        let error = gather("", &[(name, "x")], &Flags::new()).expect_err(name);
        assert!(error.starts_with(&format!("environment {name}: there is no setting ")), "{error}");
    }
}

#[test]
fn only_variables_with_a_double_underscore_are_settings() {
    // What a Kubernetes service of the name `tercet` puts into every pod of its namespace, and
    // what other programs may.
    for name in [
        "TERCET_SERVICE_HOST",
        "TERCET_SERVICE_PORT_HTTP",
        "TERCET_PORT",
        "TERCET_PORT_7200_TCP_ADDR",
        "TERCET_RETRY",
        "TERCET_LISTEN",
        "TERCET_",
    ] {
        let layers = gather("", &[(name, "tcp://10.96.0.7:7200")], &Flags::new()).expect(name);
        assert_eq!((layers.changed(), layers.unheard()), (0, &[][..]), "{name}");
    }
    // One underscore too few is a slip, which is told.
    let layers = gather("", &[("TERCET_SERVER_LISTEN", "x")], &Flags::new()).expect("no setting");
    let meant = ("TERCET_SERVER_LISTEN".to_owned(), "TERCET_SERVER__LISTEN".to_owned());
    assert_eq!((layers.changed(), layers.unheard()), (0, &[meant][..]));
}

#[test]
fn an_old_name_is_refused_with_the_new_one() {
    for (old, new) in RENAMED {
        assert!(TERCET.kind(new).is_some(), "{new} is no setting");
        assert!(TERCET.kind(old).is_none(), "{old} still is a setting");
        let (section, key) = old.split_once('.').expect("section.key");
        let expected = format!("file my.toml: there is no setting {old}; it is called {new} now");
        let error = gather(&format!("[{section}]\n{key} = 1"), &[], &Flags::new());
        assert_eq!(error.expect_err(old), expected);
        let variable = format!("TERCET_{}__{}", section.to_uppercase(), key.to_uppercase());
        let error = gather("", &[(&variable, "1")], &Flags::new()).expect_err(old);
        assert!(error.ends_with(&format!("it is called {new} now")), "{error}");
    }
    let gone = gather("[retry]\nno_room_pause_ms = 1", &[], &Flags::new()).expect_err("gone");
    assert!(gone.contains("retry.no_room_pause_ms; it is gone: "), "{gone}");
}

#[test]
fn a_wrong_value_is_named_with_its_origin_and_what_fits() {
    for (text, expected) in [
        (
            "[retry]\ninitial_backoff_ms = \"5\"",
            "file my.toml: retry.initial_backoff_ms must be a whole number, not a text",
        ),
        (
            "[retry]\ninitial_backoff_ms = 0",
            "file my.toml: retry.initial_backoff_ms must be 1 to 3600000, not 0",
        ),
        (
            "[server]\nlisten = 7200",
            "file my.toml: server.listen must be a text, not a whole number",
        ),
        (
            "[server]\nlisten = \"localhost\"",
            "file my.toml: server.listen must be an address and port",
        ),
        ("[log]\nformat = \"xml\"", "file my.toml: log.format must be text or json, not \"xml\""),
        (
            "[database]\nurl = \"secret\"",
            "file my.toml: database.url must be a URL such as sqlite://tercet.db",
        ),
        ("[log]\nfilter = \"a=loud\"", "file my.toml: log.filter must be a list of levels"),
        ("[node]\nid = \"a b\"", "file my.toml: node.id must be at most 128"),
        ("[server", "my.toml: TOML parse error at line 1: "),
        ("[log]\nfilter = \"secret\" x", "my.toml: TOML parse error at line 2: "),
    ] {
        let error = gather(text, &[], &Flags::new()).expect_err(text);
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    for (name, text, expected) in [
        (
            "TERCET_RETRY__INITIAL_BACKOFF_MS",
            "soon",
            "retry.initial_backoff_ms must be a whole number, not a text",
        ),
        (
            "TERCET_RETRY__INITIAL_BACKOFF_MS",
            "-1",
            "retry.initial_backoff_ms must be 1 to 3600000, not -1",
        ),
    ] {
        let error = gather("", &[(name, text)], &Flags::new()).expect_err(text);
        assert_eq!(error, format!("environment {name}: {expected}"));
    }
    let flags = vec![("--listen", "server.listen", "nowhere".to_owned())];
    let error = gather("", &[], &flags).expect_err("nowhere");
    assert!(error.starts_with("flag --listen: server.listen must be"), "{error}");
    let missing = Layers::gather(Some(Path::new("/no/such.toml")), [], &Flags::new());
    assert!(missing.expect_err("missing").to_string().starts_with("/no/such.toml: "));
}

#[test]
fn shown_settings_can_be_given_back_and_hide_passwords() {
    let environment = [("TERCET_DATABASE__URL", "postgres://tercet:s3cr@t@db:5432/t?sslmode=off")];
    let layers = gather("[limits]\nbranches = 3", &environment, &Flags::new()).expect("valid");
    let shown = layers.to_string();
    assert!(shown.contains("postgres://tercet:***@db:5432/t?sslmode=off"), "{shown}");
    assert!(!shown.contains("s3cr"), "{shown}");
    assert!(shown.contains("# environment TERCET_DATABASE__URL"), "{shown}");
    assert!(
        shown.lines().any(|line| line.starts_with("branches = 3 ") && line.contains("# file "))
    );
    let again = gather(&shown, &[], &Flags::new()).expect("what is shown is valid");
    assert_eq!(again.settings().expect("valid").limits.branches, 3);
    let names = |layers: &Layers| -> Vec<String> {
        layers.shown().map(|(section, key, ..)| format!("{section}.{key}")).collect()
    };
    assert_eq!(names(&again), names(&layers));

    for (url, expected) in [
        ("sqlite://tercet.db", "sqlite://tercet.db"),
        ("mysql://me@h/d", "mysql://me@h/d"),
        ("mysql://me:@h/d", "mysql://me:***@h/d"),
        ("postgres://h/d?user=me&Password=s3cret", "postgres://h/d?user=me&Password=***"),
        ("postgres://me:a/b@h/d", "postgres://me:***@h/d"),
    ] {
        let layers = gather("", &[("TERCET_DATABASE__URL", url)], &Flags::new()).expect(url);
        assert!(layers.to_string().contains(&format!("url = \"{expected}\" ")), "{layers}");
    }
}

#[test]
fn an_alerts_receiver_is_checked_and_its_keys_are_hidden() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for (url, shown) in [
        ("", ""),
        ("http://pager.example", "http://pager.example"),
        ("http://pager.example:81/", "http://pager.example:81/"),
        ("https://hooks.example/T0/k3y", "https://hooks.example/***"),
        ("https://pager.example?token=k3y", "https://pager.example/***"),
        ("https://me:k3y@pager.example", "https://pager.example/***"),
    ] {
        let text = format!("[alerts]\nwebhook_url = \"{url}\"\nwebhook_secret = \"{SECRET}\"");
        let layers = gather(&text, &[], &Flags::new()).expect(url);
        let printed = layers.to_string();
        assert!(printed.contains(&format!("webhook_url = \"{shown}\" ")), "{printed}");
        assert!(printed.contains("webhook_secret = \"***\" "), "{printed}");
        assert!(!printed.contains("k3y") && !printed.contains("MfKQ"), "{printed}");
        let settings = layers.settings().expect("valid");
        let webhook = settings.alerts.of_webhook(Backoff::default());
        assert_eq!(webhook.as_ref().is_some_and(|to| to.key.is_some()), !url.is_empty(), "{url}");
        let debugged = format!("{settings:?} {webhook:?}");
        assert!(!debugged.contains("k3y") && !debugged.contains("MfKQ"), "{debugged}");
    }
    for (key, value) in [
        ("webhook_url", "k3y"),
        ("webhook_url", "ftp://k3y"),
        ("webhook_secret", "k3y"),
        ("webhook_secret", "whsec_k3y"),
    ] {
        let text = format!("[alerts]\n{key} = \"{value}\"");
        let error = gather(&text, &[], &Flags::new()).expect_err(value);
        assert!(error.starts_with(&format!("file my.toml: alerts.{key} must be empty, or ")));
        assert!(!error.contains("k3y"), "{error}");
    }
}

#[test]
fn a_node_without_a_name_is_known_by_where_it_is() {
    let address = "10.0.0.1:7200".parse().expect("an address");
    // All that listen on every address of their machines would be one node otherwise.
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let by_machine = format!("{machine}:7200");
    for (text, expected) in [
        ("", "single"),
        ("[database]\nurl = \"postgres://h/d\"", by_machine.as_str()),
        ("[node]\nid = \"a\"\n[database]\nurl = \"postgres://h/d\"", "a"),
    ] {
        let settings = gather(text, &[], &Flags::new()).expect(text).settings().expect("valid");
        assert_eq!(settings.node_id(address), expected);
    }
}

#[test]
fn a_lease_has_room_for_four_heartbeats_and_a_url_is_one_to_add_to() {
    let settings = |heartbeat: &str, lease: &str| {
        let given = [("cluster.heartbeat_ms", heartbeat), ("cluster.lease_ms", lease)];
        let flags = given.map(|(key, value)| ("--flag", key, value.to_owned())).to_vec();
        Layers::gather(None, [], &flags).and_then(|layers| layers.settings())
    };
    assert!(settings("500", "2000").is_ok() && settings("200", "800").is_ok());
    let refused = settings("501", "2000").expect_err("it is shorter").to_string();
    let expected = "flag --flag: cluster.lease_ms must be at least 4 times cluster.heartbeat_ms, \
                    which is 501: 2004 or more, not 2000";
    assert_eq!(refused, expected);
    for (url, fits) in [
        ("", true),
        ("http://10.0.0.7:7200", true),
        ("https://node-1.example/", true),
        ("http://[fd00::7]:7200", true),
        ("http://node-1/tercet", false),
        ("http://node-1?x=1", false),
        ("http://me:secret@node-1", false),
        ("tcp://node-1:7200", false),
        ("node-1:7200", false),
    ] {
        let flags = vec![("--flag", "cluster.advertise_url", url.to_owned())];
        let layers = Layers::gather(None, [], &flags);
        assert_eq!(layers.and_then(|layers| layers.settings()).is_ok(), fits, "{url}");
    }
}
