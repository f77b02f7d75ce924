package tercet

// Headers of a call, in the spelling that net/http keeps them in.
const (
	headerGid         = "Tercet-Gid"
	headerBranch      = "Tercet-Branch"
	headerInstance    = "Tercet-Instance"
	headerOp          = "Tercet-Op"
	headerLegs        = "Tercet-Legs"
	headerAttempt     = "Tercet-Attempt"
	headerDeadline    = "Tercet-Deadline"
	headerResults     = "Tercet-Results"
	headerIdempotency = "Idempotency-Key"
	headerTraceparent = "Traceparent"
	headerWebhookID   = "Webhook-Id"
	headerWebhookTime = "Webhook-Timestamp"
	headerWebhookSign = "Webhook-Signature"
	headerRetryAfter  = "Retry-After"
	headerContentType = "Content-Type"
	mediaTypeJSON     = "application/json"
	mediaTypeProblem  = "application/problem+json"
)
