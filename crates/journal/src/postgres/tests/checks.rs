//! Servers that the journal cannot stand on are refused, each by the name of its setting.

use sea_orm::ConnectionTrait;

use super::{address, connect};
use crate::JournalError;
use crate::conformance::Rig;

/// The setting that keeps a journal from being opened.
async fn refused(rig: &Rig) -> Option<&'static str> {
    match rig.refusal().await? {
        JournalError::Setting { setting, mend, .. } => {
            assert!(!mend.is_empty());
            Some(setting)
        }
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_written_to_is_refused() {
    let rig = Rig::on_postgres();
    rig.server().make().await;
    assert_eq!(refused(&rig).await, None);
    let name = rig.settings.database_url.rsplit('/').next().unwrap().to_owned();
    let set = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    rig.server().execute(&set).await;
    assert_eq!(refused(&rig).await, Some("transaction_read_only"));
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused() {
    let rig = Rig::on_postgres();
    rig.server()
        .make_with("TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
        .await;
    assert_eq!(refused(&rig).await, Some("server_encoding"));
}

#[tokio::test]
async fn the_session_that_writes_waits_for_the_disk_whatever_was_set_for_it() {
    let rig = Rig::on_postgres();
    rig.server().make().await;
    let name = rig.settings.database_url.rsplit('/').next().unwrap().to_owned();
    let set = format!("ALTER DATABASE {name} SET synchronous_commit = off");
    rig.server().execute(&set).await;
    let mut session = connect::session(&address(&rig)).await.unwrap();
    let ask = "SELECT current_setting('synchronous_commit')";
    let setting = |found| match found {
        Some(crate::sql::Field::Text(found)) => found,
        other => panic!("{other:?}"),
    };
    use crate::shared::Session;
    assert_eq!(setting(session.value(ask).await.unwrap()), "off");
    connect::prepare_writer(&mut session).await.unwrap();
    assert_eq!(setting(session.value(ask).await.unwrap()), "on");
}

#[tokio::test]
#[ignore = "it changes the whole server's settings"]
async fn a_server_that_would_forget_is_refused() {
    let rig = Rig::on_postgres();
    rig.server().make().await;
    let outsider = rig.server().outsider().await;
    for setting in ["fsync", "full_page_writes"] {
        for (value, expected) in [("off", Some(setting)), ("on", None)] {
            outsider
                .execute_unprepared(&format!("ALTER SYSTEM SET {setting} = {value}"))
                .await
                .unwrap();
            outsider.execute_unprepared("SELECT pg_reload_conf()").await.unwrap();
            // The server takes it up a moment later.
            crate::conformance::patiently(async {
                while refused(&rig).await != expected {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
    }
}
