//! `GET /docs`: the OpenAPI description as a page one can read, without scripts.

use std::fmt::Write as _;

use axum::response::Html;
use serde_json::Value;
use utoipa::openapi::OpenApi;

use crate::http::pages::page::{escaped, page, prose};

/// The page, made once at start-up.
pub(in crate::http) fn render(contract: &OpenApi) -> Html<String> {
    // Walked as JSON: the page shows what tools are given at /openapi.json, no more and no less.
    let contract = serde_json::to_value(contract).unwrap_or_default();
    let mut html = String::new();
    for part in text(&contract["info"], "description").split("\n\n") {
        html += &format!("<p>{}</p>\n", prose(part));
    }
    html += "<p>For tools: <a href=\"/openapi.json\">openapi.json</a>. \
             Errors: <a href=\"/problems\">all problems</a>.</p>\n";
    for tag in list(&contract["tags"]) {
        let name = text(tag, "name");
        html += &format!("<h2>{}</h2>\n", prose(text(tag, "description")));
        for (path, method, operation) in operations(&contract) {
            if list(&operation["tags"]).iter().any(|tag| tag == name) {
                write_operation(&mut html, path, method, operation);
            }
        }
    }
    html += "<h2>Bodies</h2>\n";
    for (name, schema) in fields(&contract["components"]["schemas"]) {
        write_schema(&mut html, name, schema);
    }
    page(text(&contract["info"], "title"), &html)
}

fn operations(contract: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    fields(&contract["paths"]).flat_map(|(path, item)| {
        fields(item).map(move |(method, operation)| (path, method, operation))
    })
}

fn write_operation(html: &mut String, path: &str, method: &str, operation: &Value) {
    let method = method.to_ascii_uppercase();
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        html,
        "<h3><code>{method} {}</code></h3>\n<p><strong>{}</strong></p>\n<p>{}</p>\n",
        escaped(path),
        prose(text(operation, "summary")),
        prose(text(operation, "description")),
    );
    let parameters = list(&operation["parameters"]);
    if !parameters.is_empty() {
        html.push_str("<table>\n<tr><th>Parameter</th><th>In</th><th></th></tr>\n");
        for parameter in parameters {
            row(
                html,
                text(parameter, "name"),
                text(parameter, "in"),
                text(parameter, "description"),
            );
        }
        html.push_str("</table>\n");
    }
    if let Some(schema) = body_schema(&operation["requestBody"]) {
        let _ = writeln!(html, "<p>Body: {}</p>", type_of(schema));
    }
    html.push_str("<table>\n<tr><th>Answer</th><th>Body</th><th></th></tr>\n");
    for (status, response) in fields(&operation["responses"]) {
        let body = body_schema(response).map(type_of).unwrap_or_default();
        let about = prose(text(response, "description"));
        let _ = writeln!(html, "<tr><td>{status}</td><td>{body}</td><td>{about}</td></tr>");
    }
    html.push_str("</table>\n");
}

fn row(html: &mut String, name: &str, kind: &str, about: &str) {
    let (name, kind, about) = (escaped(name), escaped(kind), prose(about));
    let _ = writeln!(html, "<tr><td><code>{name}</code></td><td>{kind}</td><td>{about}</td></tr>");
}

fn write_schema(html: &mut String, name: &str, schema: &Value) {
    let name = escaped(name);
    let about = prose(text(schema, "description"));
    let _ = writeln!(html, "<h3 id=\"{name}\">{name}</h3>\n<p>{about}</p>");
    let parts: Vec<&Value> = std::iter::once(schema).chain(list(&schema["allOf"])).collect();
    if let Some(words) = words_of(schema) {
        let _ = writeln!(html, "<p>One of {words}</p>");
    }
    html.push_str("<table>\n");
    for part in parts {
        if part.get("$ref").is_some() {
            let _ = writeln!(html, "<tr><td colspan=3>All fields of {}</td></tr>", type_of(part));
        }
        for (field, schema) in fields(&part["properties"]) {
            let (field, kind) = (escaped(field), type_of(schema));
            let about = prose(text(schema, "description"));
            let _ = writeln!(
                html,
                "<tr><td><code>{field}</code></td><td>{kind}</td><td>{about}</td></tr>"
            );
        }
    }
    html.push_str("</table>\n");
}

/// A type in words, as HTML.
fn type_of(schema: &Value) -> String {
    if let Some(target) = schema["$ref"].as_str() {
        let name = escaped(target.rsplit('/').next().unwrap_or(target));
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    if let Some(words) = words_of(schema) {
        return words;
    }
    let choices: Vec<String> =
        ["oneOf", "anyOf", "allOf"].iter().flat_map(|of| list(&schema[of])).map(type_of).collect();
    if !choices.is_empty() {
        return choices.join(" or ");
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let shown = names.iter().map(|name| match *name {
        "array" => format!("list of {}", type_of(&schema["items"])),
        "object" => match schema.get("additionalProperties") {
            Some(values) if values.is_object() => format!("object of {}", type_of(values)),
            Some(_) | None => "object".to_owned(),
        },
        name => escaped(name),
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { "any JSON".to_owned() } else { shown.join(" or ") }
}

fn words_of(schema: &Value) -> Option<String> {
    let words = schema["enum"].as_array()?;
    let words = words.iter().filter_map(Value::as_str);
    let words: Vec<String> = words.map(|word| format!("<code>{}</code>", escaped(word))).collect();
    Some(words.join(" "))
}

fn body_schema(of: &Value) -> Option<&Value> {
    fields(&of["content"]).next().and_then(|(_, content)| content.get("schema"))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}
