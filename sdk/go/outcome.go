package tercet

// Outcome is how a transaction stands after a request: a [Confirmed], a [*Cancelled] or a [*Pending], and nothing else. That one
// was answered is not a success: look which one it is, or go on by [Success].
type Outcome interface {
	// View is the transaction, however it stands.
	View() *TransactionView
	// Confirmed is the transaction if it is confirmed; else the error says that it was cancelled and why, or that it is still
	// going on.
	Confirmed() (*TransactionView, error)
	isOutcome()
}

// Confirmed: every branch was confirmed.
type Confirmed struct{ Transaction *TransactionView }

// Cancelled: every branch was cancelled; nothing has happened. It is the error, too, that [Success] gives for it.
type Cancelled struct {
	Transaction *TransactionView
	// Reason is the kind of reason: try-refused, try-failed, deadline, requested, operator, check.
	Reason string
}

// Pending: it is still going on. The status says how far it is: trying can still end either way, confirming will be confirmed
// and cancelling cancelled, whatever fails. It is the error, too, that [Success] gives for it.
type Pending struct{ Transaction *TransactionView }

// Success goes on only if a transaction is confirmed. It takes what begins or ends one:
//
//	order, err := tercet.Success(client.Begin(ctx, transaction))
//
// The error is a [*Cancelled], a [*Pending], or what kept the outcome from being known.
func Success(outcome Outcome, err error) (*TransactionView, error) {
	if err != nil {
		return nil, err
	}
	return outcome.Confirmed()
}

// View is the transaction.
func (o Confirmed) View() *TransactionView { return o.Transaction }

// View is the transaction, with the answer of each Try that was refused.
func (o *Cancelled) View() *TransactionView { return o.Transaction }

// View is the transaction.
func (o *Pending) View() *TransactionView { return o.Transaction }

// Confirmed gives the transaction.
func (o Confirmed) Confirmed() (*TransactionView, error) { return o.Transaction, nil }

// Confirmed gives itself as an error.
func (o *Cancelled) Confirmed() (*TransactionView, error) { return nil, o }

// Confirmed gives itself as an error.
func (o *Pending) Confirmed() (*TransactionView, error) { return nil, o }

func (o *Cancelled) Error() string { return o.Transaction.Gid + " was cancelled: " + o.Why() }
func (o *Pending) Error() string {
	return o.Transaction.Gid + " is still " + string(o.Transaction.Status)
}

func (Confirmed) isOutcome()  {}
func (*Cancelled) isOutcome() {}
func (*Pending) isOutcome()   {}

// Why says in words why it was cancelled: what a participant said, else what the caller gave as reason, else the kind of reason.
func (o *Cancelled) Why() string {
	for i := range o.Transaction.Branches {
		if said := o.Transaction.Branches[i].said(); said != "" {
			return said
		}
	}
	for _, given := range []string{o.Transaction.ReasonDetail, o.Reason} {
		if given != "" {
			return given
		}
	}
	return "no reason was given"
}

// Refusals are the branches whose Try was refused or failed, with what they answered.
func (o *Cancelled) Refusals() []BranchView {
	var refusals []BranchView
	for _, branch := range o.Transaction.Branches {
		if branch.Answer != nil {
			refusals = append(refusals, branch)
		}
	}
	return refusals
}

func outcomeOf(view *TransactionView) Outcome {
	switch view.Status {
	case StatusConfirmed:
		return Confirmed{view}
	case StatusCancelled:
		return &Cancelled{view, view.Reason}
	default:
		// Also of a word that is not known here: only confirmed is success.
		return &Pending{view}
	}
}
