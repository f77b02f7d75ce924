// Package tercet takes part in Tercet's transactions: it begins them ([Client]), answers the calls of
// a branch ([NewHandler] with a [Guard] in the service's own database), and writes transactions down with
// a change of one's own, to be begun exactly if that commits ([Outbox]).
//
// Every call of a coordinator may come more than once, late, at the same time as another, or after its
// opposite. The guard is what makes a participant right all the same: one row per branch, written in the same
// SQL transaction as the business change.
//
// No driver is imported: the package works on whatever *sql.DB it is given, SQLite, PostgreSQL, MySQL or
// MariaDB.
package tercet
