//! The same by a shell: lines to copy.

/// As `tercet` takes it.
pub(super) fn tercet(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("tercet {}", words.join(" "))
}

/// As curl sends it; the token is the reader's own.
pub(super) fn curl(has_rules: bool, method: &str, path: &str, body: Option<&str>) -> String {
    let mut line = String::from("curl -s");
    if method != "GET" {
        line.push_str(" -X ");
        line.push_str(method);
    }
    line.push_str(" \"$TERCET_URL");
    line.push_str(path);
    line.push('"');
    if has_rules {
        line.push_str(" -H \"Authorization: Bearer $TERCET_TOKEN\"");
    }
    if let Some(body) = body {
        line.push_str(" -H 'Content-Type: application/json' -d ");
        line.push_str(&quoted(body));
    }
    line
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_each_word_as_it_is() {
        assert_eq!(tercet(&["tx", "show", "order-1"]), "tercet tx show order-1");
        assert_eq!(tercet(&["tx", "it's $HOME"]), r"tercet tx 'it'\''s $HOME'");
        assert_eq!(
            curl(true, "POST", "/v1/transactions/a/retry", None),
            "curl -s -X POST \"$TERCET_URL/v1/transactions/a/retry\" -H \"Authorization: Bearer $TERCET_TOKEN\""
        );
        let line = curl(false, "POST", "/x", Some(r#"{"note":"it's"}"#));
        assert!(
            line.ends_with(r#"-H 'Content-Type: application/json' -d '{"note":"it'\''s"}'"#),
            "{line}"
        );
    }
}
