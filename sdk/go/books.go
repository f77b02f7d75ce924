package tercet

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Rows of a page of the books unless it is asked for another number, and at most.
const (
	bookRows     = 50
	mostBookRows = 500
)

// behindAll comes behind every branch id: ids are of letters, digits and ._:- , which all come before it.
const behindAll = "~"

// bookEntry is a row of the guard, as it is shown.
type bookEntry struct {
	Gid      string `json:"gid"`
	Branch   string `json:"branch"`
	Instance string `json:"instance"`
	State    state  `json:"state"`
	At       string `json:"at"`

	updatedAt int64
}

// books answers with the guard's rows behind a key, in the order of their keys. They hold no payload, but all gids: they belong
// under the same protection as the calls.
func (e *endpoint) books(r *http.Request) response {
	invalid := func(why string) response { return problemResponse(http.StatusBadRequest, "invalid-request", why) }
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalid("the query cannot be read")
	}
	v, why := bookRange(query)
	if why != "" {
		return invalid(why)
	}
	limit := v.limit
	// One more says whether there are more.
	v.limit++
	items, err := e.bookEntries(r, v)
	if err != nil {
		e.guard.log().Warn("the guard's rows cannot be read", "error", err)
		return failedResponse()
	}
	page := struct {
		Items      []bookEntry `json:"items"`
		NextCursor *string     `json:"next_cursor"`
	}{Items: items}
	if len(items) > limit {
		page.Items = items[:limit]
		last := page.Items[limit-1]
		cursor := last.Gid + "/" + last.Branch
		page.NextCursor = &cursor
	}
	return jsonResponse(http.StatusOK, mediaTypeJSON, page)
}

func (e *endpoint) bookEntries(r *http.Request, v *values) ([]bookEntry, error) {
	dialect, err := e.guard.kind(r.Context())
	if err != nil {
		return nil, err
	}
	page := compiledGuard[dialect].page
	rows, err := e.guard.db.QueryContext(r.Context(), page.text, page.args(v)...)
	if err != nil {
		return nil, err
	}
	items, err := scanAll(rows, func(entry *bookEntry) []any {
		return []any{&entry.Gid, &entry.Branch, &entry.Instance, &entry.State, &entry.updatedAt}
	})
	for i := range items {
		items[i].At = time.UnixMilli(items[i].updatedAt).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	if items == nil {
		items = []bookEntry{}
	}
	return items, err
}

// bookRange reads which rows a page has: after is {gid}/{branch} of the last row that is known. Without a branch it is
// behind all of this gid, with an empty one before them.
func bookRange(query url.Values) (*values, string) {
	v := &values{limit: bookRows}
	for name, given := range query {
		switch {
		case name != "after" && name != "limit":
			return nil, name + ": is not known here"
		case len(given) != 1:
			return nil, name + ": is there more than once"
		case name == "limit":
			limit, err := strconv.ParseUint(given[0], 10, 16)
			if err != nil || limit < 1 || limit > mostBookRows {
				return nil, "limit: must be 1 to 500"
			}
			v.limit = int(limit)
		default:
			gid, branch, hasBranch := strings.Cut(given[0], "/")
			if !hasBranch {
				branch = behindAll
			}
			if !isOfIDs(gid) || !isOfIDs(branch) || len(given[0]) > 256 {
				return nil, "after: must be {gid}/{branch}, as next_cursor gives it"
			}
			v.gid, v.branch = gid, branch
		}
	}
	return v, ""
}

func isOfIDs(text string) bool {
	for i := range len(text) {
		if text[i] < '!' || text[i] > '~' {
			return false
		}
	}
	return true
}
