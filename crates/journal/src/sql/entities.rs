//! The tables, as reads see them.

/// What changes of a transaction.
pub(crate) mod transaction {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "global_transactions")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) gid: String,
        pub(crate) instance: String,
        pub(crate) pattern: String,
        pub(crate) status: String,
        pub(crate) owner: Option<i64>,
        pub(crate) open: bool,
        pub(crate) reason: Option<String>,
        pub(crate) parked: bool,
        pub(crate) created_at: i64,
        pub(crate) deadline_at: i64,
        pub(crate) decided_at: Option<i64>,
        pub(crate) finished_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What never changes of a transaction, and the reason its decision came with.
pub(crate) mod detail {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "global_details")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) gid: String,
        pub(crate) fingerprint: String,
        pub(crate) metadata: Option<String>,
        pub(crate) traceparent: String,
        pub(crate) reason_detail: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What a transaction asks for beyond its branches, where it asks for anything.
pub(crate) mod own_options {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "transaction_options")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) gid: String,
        pub(crate) options: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A branch, which never changes.
pub(crate) mod branch {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "branch_transactions")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) gid: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) branch_id: String,
        pub(crate) position: i32,
        pub(crate) stage: i32,
        pub(crate) registered: bool,
        pub(crate) participant: String,
        pub(crate) try_url: Option<String>,
        pub(crate) confirm_url: Option<String>,
        pub(crate) cancel_url: Option<String>,
        pub(crate) headers: String,
        pub(crate) payload: String,
        pub(crate) timeout_ms: i64,
        pub(crate) try_by: String,
        pub(crate) fingerprint: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What a branch asks for beyond its calls, where it asks for anything.
pub(crate) mod options {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "branch_options")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) gid: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) branch_id: String,
        pub(crate) options: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What the Try of a branch was answered with, where that is kept.
pub(crate) mod result {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "branch_results")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) gid: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) branch_id: String,
        pub(crate) result: String,
        pub(crate) body_bytes: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What is known of a branch that left the happy path.
pub(crate) mod outcome {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "branch_outcomes")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) gid: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) branch_id: String,
        pub(crate) status: String,
        pub(crate) try_attempts: i64,
        pub(crate) confirm_attempts: i64,
        pub(crate) cancel_attempts: i64,
        pub(crate) parked: bool,
        pub(crate) last_error: Option<String>,
        pub(crate) answer_status: Option<i32>,
        pub(crate) answer_body: Option<String>,
        pub(crate) resolved_as: Option<String>,
        pub(crate) acknowledged_at: Option<i64>,
        pub(crate) last_answer: Option<String>,
        pub(crate) pending_resolution: Option<String>,
        pub(crate) contradicted: bool,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What an operator did.
pub(crate) mod audit {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: String,
        pub(crate) at: i64,
        pub(crate) who: String,
        pub(crate) role: String,
        pub(crate) action: String,
        pub(crate) gid: Option<String>,
        pub(crate) branch_id: Option<String>,
        pub(crate) note: Option<String>,
        pub(crate) detail: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What becomes of the definition of a saga: a row a change.
pub(crate) mod saga {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sagas")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) name: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) revision: i32,
        pub(crate) version: i32,
        pub(crate) document: Option<String>,
        pub(crate) at: i64,
        pub(crate) who: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Whether a participant is called.
pub(crate) mod pause {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "participant_pauses")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) participant: String,
        pub(crate) paused: bool,
        pub(crate) at: i64,
        pub(crate) who: String,
        pub(crate) note: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What becomes of a job: a row a change.
pub(crate) mod job {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "jobs")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) revision: i32,
        pub(crate) stage: String,
        pub(crate) at: i64,
        pub(crate) owner: i64,
        pub(crate) matched: i64,
        pub(crate) done: i64,
        pub(crate) failed: i64,
        pub(crate) document: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// That a job has come to a transaction.
pub(crate) mod tick {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "job_ticks")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) gid: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) job_id: String,
        pub(crate) number: i32,
        pub(crate) code: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A hold that began after a restore, or was released.
pub(crate) mod hold {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "holds")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) number: i32,
        pub(crate) held_to: Option<i64>,
        pub(crate) at: i64,
        pub(crate) who: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What all nodes on a database share.
pub(crate) mod setting {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "cluster_settings")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) name: String,
        pub(crate) value: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A life of a node.
pub(crate) mod node {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "nodes")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) incarnation: i64,
        pub(crate) node_id: String,
        pub(crate) url: String,
        pub(crate) state: String,
        pub(crate) batch_no: i64,
        pub(crate) protocol: i32,
        pub(crate) started_at: i64,
        pub(crate) written_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A line of history.
pub(crate) mod event {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "transaction_events")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) gid: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) number: i64,
        pub(crate) at: i64,
        pub(crate) kind: String,
        pub(crate) branch_id: Option<String>,
        pub(crate) op: Option<String>,
        pub(crate) attempt: Option<i64>,
        pub(crate) detail: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
