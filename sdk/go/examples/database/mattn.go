//go:build !nocgosqlite

package database

// The driver that is C: left out by the tag nocgosqlite, where there is no compiler, or no time for it.
import _ "github.com/mattn/go-sqlite3"
