//! The headers a branch brings for its calls.

use std::collections::BTreeMap;

use crate::{Invalid, Limits, header};

/// Names in lower case. `path` is the place of `headers` in the request. Values are
/// secrets: no error shows them.
pub(crate) fn check_headers(
    given: Option<BTreeMap<String, String>>,
    path: &str,
    limits: &Limits,
) -> Result<BTreeMap<String, String>, Invalid> {
    let given = given.unwrap_or_default();
    if given.len() > limits.headers {
        let what = format!("may be at most {}, these are {}", limits.headers, given.len());
        return Err(Invalid::new(path, what));
    }
    let mut headers = BTreeMap::new();
    for (name, value) in given {
        let field = format!("{path}.{}", name.chars().take(64).collect::<String>());
        check_header(&name, &value, &field, limits)?;
        if headers.insert(name.to_ascii_lowercase(), value).is_some() {
            return Err(Invalid::new(field, "is given twice; the case of names does not matter"));
        }
    }
    Ok(headers)
}

fn check_header(name: &str, value: &str, field: &str, limits: &Limits) -> Result<(), Invalid> {
    if name.len() + value.len() > limits.header_bytes {
        let what = format!("may be at most {} bytes, name and value together", limits.header_bytes);
        return Err(Invalid::new(field, what));
    }
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(Invalid::new(field, "is not the name of a header"));
    }
    if header::is_reserved(&name.to_ascii_lowercase()) {
        let what = "is not the caller's to set: Tercet or the connection gives it a meaning";
        return Err(Invalid::new(field, what));
    }
    let visible = |byte: u8| matches!(byte, b' ' | b'\t' | 0x21..=0x7e);
    if !value.bytes().all(visible) {
        return Err(Invalid::new(field, "may have only visible ASCII characters in its value"));
    }
    // Receivers drop such spaces, so the value would not arrive as it was given.
    if value.trim_ascii().len() != value.len() {
        return Err(Invalid::new(field, "may not begin or end with a space"));
    }
    Ok(())
}

/// Source: RFC 9110, 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        let given = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        check_headers(Some(given), "headers", &Limits::default())
            .map(|headers| headers.into_iter().collect())
            .map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn names_are_kept_in_lower_case_and_values_as_they_came() {
        let found = check(&[("X-Tenant", "EU, 1"), ("authorization", "Bearer a=="), ("x-e", "")]);
        let expected = [("authorization", "Bearer a=="), ("x-e", ""), ("x-tenant", "EU, 1")];
        let owned = expected.map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(found, Ok(owned.to_vec()));
        assert_eq!(check_headers(None, "headers", &Limits::default()), Ok(BTreeMap::new()));
    }

    #[test]
    fn a_header_that_is_not_the_callers_to_set_is_named() {
        for name in [
            "Tercet-Op",
            "tercet-x",
            "Idempotency-Key",
            "webhook-id",
            "Traceparent",
            "tracestate",
            "Content-Type",
            "content-length",
            "HOST",
            "Connection",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "proxy-authorization",
            "proxy-connection",
            "expect",
        ] {
            let error = check(&[(name, "x")]).expect_err(name);
            assert!(error.starts_with(&format!("headers.{name}: ")), "{error}");
            assert!(error.contains("not the caller's"), "{error}");
        }
    }

    #[test]
    fn a_false_header_is_refused_without_showing_its_value() {
        let long = "s".repeat(1_020);
        let table: &[(&str, &str, &str)] = &[
            ("", "secret", "not the name"),
            ("x y", "secret", "not the name"),
            ("x:", "secret", "not the name"),
            ("é", "secret", "not the name"),
            ("x", "secret\r\nhost: evil", "visible"),
            ("x", "secret\u{0}", "visible"),
            ("x", "sécret", "visible"),
            ("x", " secret", "space"),
            ("x-long", &long, "at most 1024"),
        ];
        for (name, value, what) in table {
            let error = check(&[(name, value)]).expect_err(name);
            assert!(error.contains(what), "{error}");
            assert!(!error.contains("ecret") && !error.contains("sss"), "{error}");
        }
        assert!(check(&[("x-fits", &long[..1_018])]).is_ok());
        assert!(check(&[("X-A", "1"), ("x-a", "1")]).expect_err("twice").contains("twice"));
        let many: Vec<String> = (0..17).map(|n| format!("x-{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
        assert!(check(&many).expect_err("many").starts_with("headers: may be at most 16"));
        assert!(check(&many[..16]).is_ok());
    }
}
