//! What calls leave in the metrics.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tercet_engine::DestinationQueueSettings;

use super::inbox::Inbox;
use super::{call, dispatcher_with, queue, soon, with_line};
use tercet_testing::RawParticipant;

#[test]
fn calls_are_counted_by_participant_and_by_what_the_answer_means() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // A recorder of this test's own, seen by this thread only: so the runtime has one thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    metrics::with_local_recorder(&recorder, || {
        runtime.expect("a runtime").block_on(async {
            let mut participant = RawParticipant::start().await;
            let name = participant.host_port().to_owned();
            let settings = with_line(DestinationQueueSettings { concurrency: 1, ..queue() });
            let (dispatcher, mut inbox) = (dispatcher_with(settings), Inbox::new());
            // A query is no part of a label.
            let url = participant.url("/payment?customer=17");
            let queue = format!("tercet_participant_queue{{participant=\"{name}\"}}");
            for gid in ["a1", "a2", "a3"] {
                inbox.send(&dispatcher, call(&url, gid));
            }
            assert!(handle.render().contains(&format!("{queue} 2\n")), "{}", handle.render());
            for queue in ["200 OK", "404 Not Found", "503 Overloaded"] {
                participant.arrival().await.answer(queue, b"").await;
                inbox.next().await;
            }
            let text = handle.render();
            assert!(text.contains(&format!("{queue} 0\n")), "{text}");
            for result in ["done", "permanent_error", "transient_error"] {
                let labels = format!("participant=\"{name}\",op=\"confirm\",result=\"{result}\"");
                let queue = format!("tercet_branch_calls_total{{{labels}}} 1\n");
                assert!(text.contains(&queue), "{queue}{text}");
            }
            let measured = format!(
                "tercet_branch_call_duration_seconds_count{{participant=\"{name}\",op=\"confirm\"}} 3\n"
            );
            assert!(text.contains(&measured), "{text}");
        });
    });
}

#[test]
fn a_breaker_that_is_open_is_a_metric_until_it_closes_or_is_forgotten() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    metrics::with_local_recorder(&recorder, || {
        runtime.expect("a runtime").block_on(async {
            let mut participant = RawParticipant::start().await;
            let (dispatcher, mut inbox) = (dispatcher_with(with_line(queue())), Inbox::new());
            let gauge = format!(
                "tercet_participant_breaker_open{{participant=\"{}\"}}",
                participant.host_port()
            );
            for (n, open) in [0, 0, 0, 0, 1].into_iter().enumerate() {
                inbox.send(&dispatcher, call(&participant.url("/payment"), &format!("a{n}")));
                participant.arrival().await.answer("504 Gateway Timeout", b"").await;
                inbox.next().await;
                let text = handle.render();
                assert!(text.contains(&format!("{gauge} {open}\n")), "after {n}: {text}");
            }
            drop(dispatcher);
            // What it had spawned has ended with its last call.
            let forgotten = async {
                while !handle.render().contains(&format!("{gauge} 0\n")) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            soon("the gauge without its destination", forgotten).await;
        });
    });
}
