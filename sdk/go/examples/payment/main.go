// Accounts that take part in transactions: Try freezes an amount, Confirm takes it, Cancel gives it back. GET /accounts shows them.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"log"
	"net"
	"net/http"
	"os"

	"tercet.dev/tercet-go"
	"tercet.dev/tercet-go/examples/database"
)

// Debit is the payload of a branch.
type Debit struct {
	Account string `json:"account"`
	Amount  int64  `json:"amount"`
}

func main() {
	address := flag.String("database", "sqlite:accounts.db", "sqlite:FILE, sqlite3:FILE, postgres://… or mysql://…")
	listen := flag.String("listen", "127.0.0.1:7302", "where to listen; port 0 for any that is free")
	flag.Parse()
	log.Fatal(serve(context.Background(), *address, *listen))
}

func serve(ctx context.Context, address, listen string) error {
	db, err := database.Open(address)
	if err != nil {
		return err
	}
	for _, text := range []string{
		"CREATE TABLE IF NOT EXISTS account (name VARCHAR(64) PRIMARY KEY, balance BIGINT NOT NULL, frozen BIGINT NOT NULL)",
		"DELETE FROM account",
		"INSERT INTO account VALUES ('alice', 100000000, 0), ('bob', 100000000, 0)",
	} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	guard, err := tercet.OpenGuard(ctx, db)
	if err != nil {
		return err
	}
	go guard.PurgeForever(ctx)
	var payment http.Handler = tercet.NewHandler(guard, accounts(address))
	if secret := os.Getenv("PAYMENT_SECRET"); secret != "" {
		signed, err := tercet.SignedCalls(secret)
		if err != nil {
			return err
		}
		payment = signed(payment)
	}
	http.Handle("/payment/", payment)
	http.HandleFunc("/accounts", func(w http.ResponseWriter, r *http.Request) { show(w, r, db) })
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	log.Printf("listening on http://%s", listener.Addr())
	return http.Serve(listener, nil)
}

func accounts(address string) tercet.Participant[Debit] {
	change := func(text string) func(context.Context, *sql.Tx, *tercet.Call, Debit) error {
		text = database.Words(address, text)
		return func(ctx context.Context, tx *sql.Tx, _ *tercet.Call, debit Debit) error {
			changed, err := tercet.Changed(tx.ExecContext(ctx, text, debit.Amount, debit.Amount, debit.Account, debit.Amount))
			if err == nil && !changed {
				return tercet.Refuse("insufficient-funds", "there is not enough on the account")
			}
			return err
		}
	}
	return tercet.Participant[Debit]{
		Try:     change("UPDATE account SET balance = balance - ?, frozen = frozen + ? WHERE name = ? AND balance >= ?"),
		Confirm: change("UPDATE account SET frozen = frozen - ?, balance = balance + 0 * ? WHERE name = ? AND frozen >= ?"),
		Cancel:  change("UPDATE account SET balance = balance + ?, frozen = frozen - ? WHERE name = ? AND frozen >= ?"),
	}
}

// show answers with all accounts: {"alice": {"balance": 10, "frozen": 0}}.
func show(w http.ResponseWriter, r *http.Request, db *sql.DB) {
	type account struct {
		Balance int64 `json:"balance"`
		Frozen  int64 `json:"frozen"`
	}
	all := map[string]account{}
	rows, err := db.QueryContext(r.Context(), "SELECT name, balance, frozen FROM account")
	if err != nil {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var one account
		if err := rows.Scan(&name, &one.Balance, &one.Frozen); err != nil {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		all[name] = one
	}
	if rows.Err() != nil {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(all)
}
