package tercet

import "fmt"

// InvalidError is what is refused before anything is sent.
type InvalidError struct {
	// Field says what is wrong: gid, url, token, payload of a branch, …
	Field string
	// What is wrong with it.
	What string
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.What }

// ProblemError is a coordinator's word on what is wrong with a request (RFC 9457).
type ProblemError struct {
	Status int `json:"status"`
	// Code is for programs: gid-reused, invalid-request, …
	Code     string   `json:"code"`
	Title    string   `json:"title"`
	Detail   string   `json:"detail"`
	Gid      string   `json:"gid"`
	Branches []string `json:"branches"`
	// Pointer says where in a saga's input it is (RFC 6901).
	Pointer string `json:"pointer"`
}

func (e *ProblemError) Error() string { return e.Code + ": " + e.Detail }

// isDecidedOtherwise: the decision was taken, and was the other one.
func (e *ProblemError) isDecidedOtherwise() bool {
	return e.Code == "already-confirmed" || e.Code == "already-cancelled"
}

// UnansweredError: no answer came, however often it was asked. The transaction may exist and may go on: ask again with the same
// gid.
type UnansweredError struct {
	Gid      string
	Attempts int
	// Last is what came instead the last time.
	Last string
	// Err is that of the context, if it ended the waiting.
	Err error
}

func (e *UnansweredError) Error() string {
	return fmt.Sprintf("no answer about %s after %d attempts: %s", e.Gid, e.Attempts, e.Last)
}

// Unwrap gives the context's error.
func (e *UnansweredError) Unwrap() error { return e.Err }

// UnexpectedError is an answer that is none of a coordinator's.
type UnexpectedError struct {
	Status int
	// Body is the beginning of it.
	Body string
}

func (e *UnexpectedError) Error() string {
	return fmt.Sprintf("unexpected answer %d: %s", e.Status, e.Body)
}

// BranchRefusedError: the Try of a registered branch was refused, and with it the transaction, which is being cancelled.
type BranchRefusedError struct{ Branch BranchView }

func (e *BranchRefusedError) Error() string {
	if said := e.Branch.said(); said != "" {
		return said
	}
	return fmt.Sprintf("%s: %s", e.Branch.ID, e.Branch.Status)
}

// BranchPendingError: the Try of a registered branch is not answered yet. Register it again to wait for it: the same content
// starts nothing. Confirm is refused until it is answered.
type BranchPendingError struct{ Branch BranchView }

func (e *BranchPendingError) Error() string { return e.Branch.ID + ": its Try is not answered yet" }
