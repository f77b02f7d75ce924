//! `GET /docs`: the OpenAPI description as a page one can read, without scripts.

use askama::Template;
use serde_json::Value;

use crate::http::pages::docs_curl::curl;
use crate::http::pages::docs_type::Type;
use crate::http::pages::page::{Page, Prose, page};

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage {
    title: String,
    about: Vec<Prose>,
    groups: Vec<Group>,
    schemas: Vec<Schema>,
}

/// Operations for the same readers.
struct Group {
    /// What the contents call it, and where it is found.
    name: String,
    about: Prose,
    operations: Vec<Operation>,
}

struct Operation {
    /// Where it is found on the page.
    id: String,
    method: String,
    path: String,
    summary: Prose,
    about: Prose,
    parameters: Vec<Parameter>,
    body: Option<Type>,
    /// A line for a shell, with the example's values.
    curl: String,
    /// What it may answer, as an example.
    shown: Option<String>,
    answers: Vec<Answer>,
}

struct Parameter {
    name: String,
    place: String,
    about: Prose,
    bounds: String,
}

struct Answer {
    status: String,
    body: Option<Type>,
    about: Prose,
}

struct Schema {
    name: String,
    about: Prose,
    words: Option<Type>,
    includes: Vec<Type>,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    kind: Type,
    about: Prose,
}

/// The page, made once at start-up.
///
/// It shows what tools are given at /openapi.json, no more and no less.
pub(in crate::http) fn render(contract: &Value) -> Page {
    let info = &contract["info"];
    page(&DocsPage {
        title: text(info, "title"),
        about: str_of(info, "description").split("\n\n").map(Prose::new).collect(),
        groups: list(&contract["tags"]).iter().map(|tag| Group::of(tag, contract)).collect(),
        schemas: fields(&contract["components"]["schemas"]).map(Schema::of).collect(),
    })
}

impl Group {
    fn of(tag: &Value, contract: &Value) -> Self {
        let name = str_of(tag, "name");
        let paths = fields(&contract["paths"]);
        let all = paths.flat_map(|(path, item)| {
            fields(item).map(move |(method, operation)| (path, method, operation))
        });
        let own = all.filter(|(.., operation)| {
            list(&operation["tags"]).iter().any(|tag| tag.as_str() == Some(name))
        });
        let url = str_of(&contract["servers"][0], "url");
        let own = own.map(|(path, method, operation)| Operation::of(url, path, method, operation));
        let (name, about) = (name.to_owned(), prose(tag, "description"));
        Self { name, about, operations: own.collect() }
    }
}

impl Operation {
    fn of(url: &str, path: &str, method: &str, operation: &Value) -> Self {
        let well = fields(&operation["responses"]).find(|(status, _)| status.starts_with('2'));
        let shown = well.and_then(|(_, response)| {
            let (_, content) = fields(&response["content"]).next()?;
            serde_json::to_string_pretty(content.get("example").filter(|it| !it.is_string())?).ok()
        });
        let answers = fields(&operation["responses"]).map(|(status, response)| Answer {
            status: status.to_owned(),
            body: body_of(response),
            about: prose(response, "description"),
        });
        Self {
            id: text(operation, "operationId"),
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            summary: prose(operation, "summary"),
            about: prose(operation, "description"),
            parameters: list(&operation["parameters"]).iter().map(Parameter::of).collect(),
            body: body_of(&operation["requestBody"]),
            curl: curl(url, path, method, operation),
            shown,
            answers: answers.collect(),
        }
    }
}

impl Parameter {
    fn of(parameter: &Value) -> Self {
        Self {
            name: text(parameter, "name"),
            place: text(parameter, "in"),
            about: prose(parameter, "description"),
            bounds: bounds(&parameter["schema"]),
        }
    }
}

/// The numbers a parameter can be, and which it is when it is absent, as sentences.
fn bounds(schema: &Value) -> String {
    let number = |key: &str| schema[key].as_i64();
    let range = match (number("minimum"), number("maximum")) {
        (Some(min), Some(max)) => format!(" From {min} to {max}."),
        _ => String::new(),
    };
    let default = number("default").map(|default| format!(" Default {default}."));
    range + &default.unwrap_or_default()
}

impl Schema {
    fn of((name, schema): (&str, &Value)) -> Self {
        let parts = std::iter::once(schema).chain(list(&schema["allOf"]));
        let (includes, own): (Vec<&Value>, Vec<&Value>) =
            parts.partition(|part| part.get("$ref").is_some());
        let own = own.into_iter().flat_map(|part| fields(&part["properties"]));
        let own = own.map(|(name, schema)| Field {
            name: name.to_owned(),
            kind: Type::of(schema),
            about: prose(schema, "description"),
        });
        Self {
            name: name.to_owned(),
            about: prose(schema, "description"),
            words: Type::words(schema),
            includes: includes.into_iter().map(Type::of).collect(),
            fields: own.collect(),
        }
    }
}

fn body_of(of: &Value) -> Option<Type> {
    let (_, content) = fields(&of["content"]).next()?;
    content.get("schema").map(Type::of)
}

fn str_of<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn text(value: &Value, field: &str) -> String {
    str_of(value, field).to_owned()
}

fn prose(value: &Value, field: &str) -> Prose {
    Prose::new(str_of(value, field))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}
