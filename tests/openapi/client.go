// The client that oapi-codegen makes: a transaction of two branches, an error, a list in pages.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

func must(holds bool, what ...any) {
	if !holds {
		panic(fmt.Sprint(what...))
	}
}

func to[T any](value T) *T { return &value }

func main() {
	ctx := context.Background()
	client, err := NewClientWithResponses(os.Args[1])
	must(err == nil, err)
	branch := func(id string) BranchRequest {
		return BranchRequest{Id: &id, Endpoint: to(os.Args[2] + "/" + id), Payload: map[string]int{"n": 1}}
	}

	branches := []BranchRequest{branch("a"), branch("b")}
	begun, err := client.BeginWithResponse(ctx, nil, BeginRequest{Gid: to("go-1"), Branches: &branches})
	must(err == nil, err)
	must(begun.JSON201 != nil, begun.Status(), string(begun.Body))
	must(begun.JSON201.Status == "confirmed" && begun.JSON201.Branches[1].Attempts.Try == 1, begun.JSON201)

	reused, err := client.BeginWithResponse(ctx, nil, BeginRequest{Gid: to("go-1"), TimeoutMs: to(int64(1000))})
	must(err == nil, err)
	must(reused.ApplicationproblemJSON409 != nil && reused.ApplicationproblemJSON409.Code == "gid-reused", string(reused.Body))

	for _, gid := range []string{"go-2", "go-3"} {
		// No branches at all: Go writes a nil slice as null where it is asked to.
		open, err := client.BeginWithBodyWithResponse(ctx, nil, "application/json", strings.NewReader(`{"gid":"`+gid+`","branches":null}`))
		must(err == nil && open.JSON201 != nil, err, open)
	}

	var seen []string
	params := ListParams{Limit: to(int32(1))}
	for {
		page, err := client.ListWithResponse(ctx, &params)
		must(err == nil && page.JSON200 != nil, err, page)
		for _, item := range page.JSON200.Items {
			if strings.HasPrefix(item.Gid, "go") {
				seen = append(seen, item.Gid)
			}
		}
		if params.Cursor = page.JSON200.NextCursor; params.Cursor == nil {
			break
		}
	}
	must(strings.Join(seen, ",") == "go-3,go-2,go-1", seen)
	fmt.Println("1 passed, 0 failed")
}
