//! The lines for a shell on the page that describes the API: each does what it says.

use std::process::Command;

use http::Method;
use tercet_testing::{Participant, Tercet};

/// What a coordinator may say of an example that it does not have.
const NOT_HERE: [&str; 4] =
    ["job-not-found", "saga-not-found", "transaction-not-found", "branch-not-found"];

#[tokio::test]
async fn every_line_of_the_docs_is_understood_by_a_coordinator() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let docs = tercet.client().send(Method::GET, "/docs", None).await.text;
    let lines = lines(&docs);
    let contract = tercet.client().send(Method::GET, "/openapi.json", None).await.json;
    let paths = contract["paths"].as_object().expect("paths").values();
    let operations: usize = paths.map(|item| item.as_object().map_or(0, |it| it.len())).sum();
    assert_eq!(lines.len(), operations, "each operation has a line");
    let somebody = participant.url("");
    let coordinator = format!("http://{}", tercet.address());
    let mut well = 0;
    for line in &lines {
        let line = (7301..=7304).fold(
            line.replace("http://127.0.0.1:7200", &coordinator),
            |line, port| {
                line.replace(&format!("http://127.0.0.1:{port}"), somebody.trim_end_matches('/'))
            },
        );
        let (status, answer) = run(&line).await;
        let expected = match status {
            200..=299 => true,
            404 => NOT_HERE.iter().any(|code| answer.contains(&format!("\"{code}\""))),
            409 => answer.contains("\"code\":"),
            _ => false,
        };
        assert!(expected, "{line}\n{status} {answer}");
        well += usize::from(status < 300);
    }
    assert!(well >= lines.len() / 2, "{well} of {} went well", lines.len());
}

/// As they are copied from the page.
fn lines(docs: &str) -> Vec<String> {
    let blocks = docs.split("<pre class=\"curl\"").skip(1);
    let code = blocks.map(|block| {
        let (_, code) = block.split_once("<code>").expect("code in it");
        code.split_once("</code>").expect("its end").0
    });
    code.map(|code| {
        [
            ("&#39;", "'"),
            ("&#34;", "\""),
            ("&quot;", "\""),
            ("&#60;", "<"),
            ("&#62;", ">"),
            ("&#38;", "&"),
        ]
        .into_iter()
        .fold(code.to_owned(), |code, (entity, sign)| code.replace(entity, sign))
    })
    .collect()
}

/// Gives it to a shell, and comes back with status and body.
async fn run(line: &str) -> (u16, String) {
    let asked = line.replacen("curl -sS", "curl -sS -w '\n%{http_code}'", 1);
    let ran = tokio::task::spawn_blocking(move || Command::new("sh").arg("-c").arg(asked).output());
    let output = ran.await.expect("it ran").expect("a shell");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (answer, status) = said.rsplit_once('\n').expect("a status");
    (status.parse().expect("a number"), answer.to_owned())
}
