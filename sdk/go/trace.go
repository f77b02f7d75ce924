package tercet

import "context"

type traceparentKey struct{}

// ContextWithTraceparent has transactions that are begun with this context continue a trace (W3C traceparent). The context
// that business code is given by [NewHandler] has that of its call.
func ContextWithTraceparent(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return context.WithValue(ctx, traceparentKey{}, traceparent)
}

// traceparentOf is that which was given, else that of the context.
func traceparentOf(ctx context.Context, given string) string {
	if given != "" {
		return given
	}
	traceparent, _ := ctx.Value(traceparentKey{}).(string)
	return traceparent
}
