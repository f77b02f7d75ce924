package tercet

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

const (
	gidMaxLen    = 128
	branchMaxLen = 64
)

// NewGid makes a gid for a transaction that belongs to no business deed: a UUIDv7. Keep it for every
// attempt of the same deed; one that belongs to the deed ("order-1001") is better, since it outlives this process.
func NewGid() string {
	var id [16]byte
	// It fails on no supported system: the runtime ends the program first.
	_, _ = rand.Read(id[:])
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(time.Now().UnixMilli()))
	copy(id[:6], at[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	text := hex.EncodeToString(id[:])
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}

// checkID says what is wrong with an id: nothing if it is 1 to maxLen of [A-Za-z0-9._:-] and begins with a
// letter or a digit.
func checkID(id string, maxLen int) error {
	if len(id) == 0 || len(id) > maxLen {
		return fmt.Errorf("must be 1 to %d characters long, this has %d", maxLen, len(id))
	}
	for i, c := range id {
		switch {
		case isAlphanumeric(c):
		case i == 0:
			return fmt.Errorf("must begin with a letter or a digit, not with %q", c)
		case !strings.ContainsRune("._:-", c):
			return fmt.Errorf("may contain only letters, digits and . _ : - , not %q", c)
		}
	}
	return nil
}

func isAlphanumeric(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// parseInstance reads a UUID, and writes it as everybody stores it: hyphenated, in lower case.
func parseInstance(text string) (string, error) {
	wrong := fmt.Errorf("must be a UUID")
	if len(text) != 36 {
		return "", wrong
	}
	for i := range len(text) {
		c := text[i]
		isHyphen := i == 8 || i == 13 || i == 18 || i == 23
		isHex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
		if isHyphen != (c == '-') || !isHyphen && !isHex {
			return "", wrong
		}
	}
	return strings.ToLower(text), nil
}
