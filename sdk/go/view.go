package tercet

import (
	"encoding/json"
	"time"
)

// Status is where a transaction stands. A newer coordinator may have words that are not listed here.
type Status string

// The statuses of a transaction.
const (
	// StatusTrying: not decided yet; it can still end either way.
	StatusTrying Status = "trying"
	// StatusConfirming: it will be confirmed, whatever fails.
	StatusConfirming Status = "confirming"
	// StatusCancelling: it will be cancelled, whatever fails.
	StatusCancelling Status = "cancelling"
	// StatusConfirmed: every branch was confirmed.
	StatusConfirmed Status = "confirmed"
	// StatusCancelled: every branch was cancelled.
	StatusCancelled Status = "cancelled"
)

// BranchStatus is where a branch stands. A newer coordinator may have words that are not listed here.
type BranchStatus string

// The statuses of a branch.
const (
	BranchRegistered BranchStatus = "registered"
	BranchTried      BranchStatus = "tried"
	BranchRefused    BranchStatus = "refused"
	BranchConfirmed  BranchStatus = "confirmed"
	BranchCancelled  BranchStatus = "cancelled"
	BranchSkipped    BranchStatus = "skipped"
)

// TransactionView is a transaction as the coordinator shows it.
type TransactionView struct {
	Gid          string          `json:"gid"`
	Instance     string          `json:"instance"`
	Pattern      string          `json:"pattern"`
	Status       Status          `json:"status"`
	Open         bool            `json:"open"`
	Parked       bool            `json:"parked"`
	Mixed        bool            `json:"mixed"`
	Metadata     json.RawMessage `json:"metadata"`
	Reason       string          `json:"reason"`
	ReasonDetail string          `json:"reason_detail"`
	CreatedAt    time.Time       `json:"created_at"`
	DeadlineAt   time.Time       `json:"deadline_at"`
	DecidedAt    *time.Time      `json:"decided_at"`
	FinishedAt   *time.Time      `json:"finished_at"`
	Branches     []BranchView    `json:"branches"`
}

// BranchView is a branch as the coordinator shows it.
type BranchView struct {
	ID          string       `json:"id"`
	Participant string       `json:"participant"`
	Status      BranchStatus `json:"status"`
	Parked      bool         `json:"parked"`
	Attempts    struct {
		Try     int `json:"try"`
		Confirm int `json:"confirm"`
		Cancel  int `json:"cancel"`
	} `json:"attempts"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	LastError     string     `json:"last_error"`
	// Answer is the last answer of a Try that was refused or failed.
	Answer *AnswerView `json:"answer"`
	// Result is what its Try was answered with, where that is kept; to the byte.
	Result     json.RawMessage `json:"result"`
	ResolvedAs string          `json:"resolved_as"`
	FinishedAt *time.Time      `json:"finished_at"`
}

// AnswerView is what a participant answered.
type AnswerView struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
}

// said is what a branch said about its refusal: the detail of a problem (RFC 9457), else the body.
func (b *BranchView) said() string {
	if b.Answer == nil || b.Answer.Body == "" {
		return ""
	}
	var problem struct {
		Detail *string `json:"detail"`
	}
	said := b.Answer.Body
	if err := json.Unmarshal([]byte(said), &problem); err == nil && problem.Detail != nil {
		said = *problem.Detail
	}
	if said == "" {
		return ""
	}
	return b.ID + ": " + said
}
