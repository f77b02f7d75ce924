//! An operation as a line for a shell.

use serde_json::Value;

/// Bodies beyond this are written over several lines.
const LINE_CHARS: usize = 60;

/// Asks for the operation with the values that its description has as examples: what stands in the path, what
/// it cannot do without in the query, and the body.
pub(super) fn curl(url: &str, path: &str, method: &str, operation: &Value) -> String {
    let (mut path, mut query) = (path.to_owned(), Vec::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let value = match &parameter["example"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match parameter["in"].as_str() {
            Some("path") => path = path.replace(&format!("{{{name}}}"), &value),
            Some("query") if parameter["required"] == true => query.push(format!("{name}={value}")),
            _ => {}
        }
    }
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let method = match method {
        "get" => String::new(),
        other => format!(" -X {}", other.to_ascii_uppercase()),
    };
    let asked = format!("curl -sS{method} {}", quoted(&format!("{url}{path}{query}")));
    match &operation["requestBody"]["content"]["application/json"]["example"] {
        Value::Null => asked,
        body => {
            let short = body.to_string();
            let pretty = || serde_json::to_string_pretty(body).unwrap_or_default();
            let body = if short.len() > LINE_CHARS { pretty() } else { short };
            format!("{asked} \\\n  -H 'content-type: application/json' -d {}", quoted(&body))
        }
    }
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_is_a_line_that_a_shell_understands() {
        let parameter = |name: &str, place: &str, required: bool, example: Value| json!({ "name": name, "in": place, "required": required, "example": example });
        let gid = parameter("gid", "path", true, json!("order-1"));
        for (method, operation, expected) in [
            ("get", json!({ "parameters": [gid] }), "curl -sS 'http://a/v1/order-1'"),
            (
                "delete",
                json!({ "parameters": [
                    gid,
                    parameter("status", "query", true, json!("open")),
                    parameter("limit", "query", false, json!(5)),
                ] }),
                "curl -sS -X DELETE 'http://a/v1/order-1?status=open'",
            ),
            (
                "post",
                json!({
                    "parameters": [gid],
                    "requestBody": { "content": { "application/json": { "example": { "a": "it's" } } } },
                }),
                "curl -sS -X POST 'http://a/v1/order-1' \\\n  -H 'content-type: application/json' -d '{\"a\":\"it'\\''s\"}'",
            ),
        ] {
            assert_eq!(curl("http://a", "/v1/{gid}", method, &operation), expected);
        }
    }
}
