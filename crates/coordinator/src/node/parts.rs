//! What each part of a node works with, from the settings. Every field is named, so that a part
//! that gets another stops the build here.

use std::net::SocketAddr;

use tercet_engine::{
    Backlog, BreakerSettings, DestinationQueueSettings, DriverSettings, EngineSettings, Paused,
    Rules,
};
use tercet_journal::{JournalSettings, Retention};
use tercet_wire::Incarnation;

use crate::cluster::ClusterSettings;
use crate::config::Settings;
use crate::dispatcher::{DispatcherSettings, Signing};
use crate::open_files::Shares;
use crate::outbound::OutboundSettings;

/// Calls that may be under way or queued at once, over all destinations: room for the full
/// queues of a hundred dead ones. Memory is taken only for what is there.
const CALLS: usize = 131_072;

/// Messages taken from one lane in a round of the loop.
const LANE_BOUND: usize = 1_024;

pub(super) fn engine_settings(settings: &Settings, clock_doubted: bool) -> EngineSettings {
    let retry = &settings.retry;
    EngineSettings {
        rules: Rules {
            try_attempts: retry.try_attempts,
            backoff: retry.backoff(),
            park_after_permanent_errors: retry.park_after_permanent_errors,
            park_after: retry.park_after,
            ack_flush_after: retry.ack_flush_after,
            history_lines: settings.history.lines_per_transaction,
            branches: settings.limits.branches,
            // Nobody asks again for room, so nobody has set this.
            no_room_pause: Rules::default().no_room_pause,
            // A life begins with those that were when the last one ended: see `Node::start`.
            paused: Paused::default(),
            // The database says it.
            held_to: None,
        },
        live_transactions: settings.limits.live_transactions,
        live_bytes: settings.limits.live_bytes,
        in_memory_waiting_transactions: settings.limits.in_memory_waiting_transactions,
        in_memory_waiting_bytes: settings.limits.in_memory_waiting_bytes,
        paged_out_transactions: settings.limits.paged_out_transactions,
        destination_path_segments: settings.dispatcher.destination_path_segments,
        clock_doubted,
        waiters: settings.limits.waiters_per_transaction,
        load_within: settings.journal.request_timeout,
    }
}

pub(super) fn driver_settings(settings: &Settings) -> DriverSettings {
    DriverSettings {
        calls: CALLS,
        lane_bound: LANE_BOUND,
        most_unwritten: Backlog {
            records: settings.journal.queue_records,
            bytes: settings.journal.queue_bytes,
        },
    }
}

pub(super) fn journal_settings(
    settings: &Settings,
    address: SocketAddr,
    node_url: &str,
    incarnation: Incarnation,
) -> JournalSettings {
    let url = settings.database.url.expose();
    let of_the_code = JournalSettings::new(url, &settings.node_id(address), incarnation);
    JournalSettings {
        node_url: node_url.to_owned(),
        batch_records: settings.journal.batch_records,
        batch_bytes: settings.journal.batch_bytes,
        read_connections: settings.database.read_connections,
        can_go_back: settings.database.can_go_back,
        read_within: settings.journal.request_timeout,
        longest_downtime: settings.node.max_expected_downtime,
        retention: Retention {
            branches: settings.retention.branches,
            transactions: settings.retention.transactions,
            audit: settings.retention.audit,
            jobs: settings.retention.jobs,
            max_finished: settings.retention.max_finished,
            every: settings.retention.interval,
        },
        // These are no settings: nobody who runs it could know better.
        page_bytes: of_the_code.page_bytes,
        linger: of_the_code.linger,
        resubmit: of_the_code.resubmit,
        longest_silence: of_the_code.longest_silence,
        heartbeat: settings.cluster.heartbeat,
        database_url: of_the_code.database_url,
        node_id: of_the_code.node_id,
        incarnation: of_the_code.incarnation,
    }
}

pub(super) fn cluster_settings(settings: &Settings, address: SocketAddr) -> ClusterSettings {
    ClusterSettings {
        node_id: settings.node_id(address),
        heartbeat: settings.cluster.heartbeat,
        lease: settings.cluster.lease,
        step_within: settings.journal.request_timeout,
    }
}

pub(crate) fn dispatcher_settings(settings: &Settings) -> DispatcherSettings {
    let dispatcher = &settings.dispatcher;
    DispatcherSettings {
        queue: DestinationQueueSettings {
            concurrency: dispatcher.per_destination_concurrency,
            queue_entries: dispatcher.per_destination_queue,
            queue_bytes: dispatcher.per_destination_queue_bytes,
            breaker: BreakerSettings {
                failures: dispatcher.breaker_threshold,
                probe_interval: dispatcher.probe_interval,
                probe_timeout: dispatcher.probe_timeout,
            },
        },
        path_segments: dispatcher.destination_path_segments,
        call_rules: settings.participants.call_rules(),
        signing: Signing::new(settings.participants.signing_keys()),
        first_byte_timeout: dispatcher.first_byte_timeout,
        pool_idle_timeout: dispatcher.pool_idle_timeout,
    }
}

pub(crate) fn outbound_settings(settings: &Settings, shares: Shares) -> OutboundSettings {
    OutboundSettings {
        connect_timeout: settings.dispatcher.connect_timeout,
        sockets: shares.sockets,
        look_ups: shares.look_ups,
    }
}

#[cfg(test)]
mod tests {
    use tercet_wire::{Backoff, Limits};

    use super::*;

    /// Pure crates cannot read a file, so what their tests go by is written down there again.
    /// Each of these structs is compared whole, and made above with every field named.
    #[test]
    fn the_settings_file_and_the_pure_crates_have_the_same_defaults() {
        let settings = Settings::built_in().expect("the defaults fit");
        assert_eq!(engine_settings(&settings, false), EngineSettings::default());
        assert_eq!(settings.retry.backoff(), Backoff::default());
        assert_eq!(settings.of_requests(Vec::new()), Limits::default());

        let incarnation = Incarnation(7);
        let address = settings.server.listen;
        let node_url = "http://127.0.0.1:7200";
        let of_journal = journal_settings(&settings, address, node_url, incarnation);
        let url = settings.database.url.expose();
        let mut expected = JournalSettings::new(url, "single", incarnation);
        expected.node_url = node_url.to_owned();
        assert_eq!(of_journal, expected);
    }
}
