//! `tercet config show`: the settings that hold, as a file that could be given back, with
//! where each came from. Secrets are masked.

use std::fmt;

use toml::Value;
use url::Url;

use crate::config::layers::{Layers, Origin};

impl Layers {
    /// How many settings are not as built in.
    #[must_use]
    pub fn changed(&self) -> usize {
        self.iter().filter(|(.., origin)| **origin != Origin::Default).count()
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = None;
        for (name, value, origin) in self.iter() {
            let (section, key) = name.split_once('.').unwrap_or(("", name));
            if shown.is_some_and(|shown| shown != section) {
                writeln!(f)?;
            }
            if shown != Some(section) {
                writeln!(f, "[{section}]")?;
                shown = Some(section);
            }
            let setting = format!("{key} = {}", masked(name, value));
            writeln!(f, "{setting:<48} # {origin}")?;
        }
        Ok(())
    }
}

/// The password of a database's URL is nobody's business, nor is what lets somebody speak as
/// this node.
fn masked(name: &str, value: &Value) -> String {
    match (name, value) {
        ("database.url", Value::String(url)) => Value::from(without_password(url)).to_string(),
        ("alerts.webhook_url", Value::String(url)) => Value::from(place_of(url)).to_string(),
        ("alerts.webhook_secret", Value::String(secret)) if !secret.is_empty() => {
            Value::from("***").to_string()
        }
        _ => value.to_string(),
    }
}

/// Scheme, host and port: receivers of webhooks put their keys into user info, query and path.
fn place_of(url: &str) -> String {
    let Ok(mut shown) = url.parse::<Url>() else { return String::new() };
    let has_more = shown.path() != "/" || shown.query().is_some() || !shown.username().is_empty();
    if !has_more && shown.password().is_none() {
        return url.to_owned();
    }
    // Refused only for URLs without a host, which no setting is.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.set_path("/***");
    shown.to_string()
}

/// By hand rather than by a URL parser, which would refuse just the URLs that somebody
/// looks at because they do not work. Rather masks too much than too little.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // A password can contain an @ by mistake, so the last one ends it.
    let rest = match rest.rsplit_once('@').map(|(user, place)| (user.split_once(':'), place)) {
        Some((Some((name, _)), place)) => format!("{name}:***@{place}"),
        Some((None, _)) | None => rest.to_owned(),
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest.to_owned(), Some(query)),
        None => (rest, None),
    };
    let query = query.map(|query| {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("password") => {
                format!("{name}=***")
            }
            Some(_) | None => pair.to_owned(),
        });
        format!("?{}", pairs.collect::<Vec<_>>().join("&"))
    });
    format!("{scheme}://{rest}{}", query.unwrap_or_default())
}
