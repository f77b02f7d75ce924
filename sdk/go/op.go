package tercet

import (
	"fmt"
	"strings"
)

// Op is one of the three calls of a branch.
type Op string

// The calls of a branch.
const (
	// Try reserves, so that Confirm cannot fail for want of anything.
	Try Op = "try"
	// Confirm takes what was reserved.
	Confirm Op = "confirm"
	// Cancel releases what was reserved.
	Cancel Op = "cancel"
)

var allOps = []Op{Try, Confirm, Cancel}

func parseOp(text string) (Op, error) {
	for _, op := range allOps {
		if text == string(op) {
			return op, nil
		}
	}
	return "", fmt.Errorf("must be try, confirm or cancel")
}

// Legs says which of the three calls a branch has.
type Legs struct{ try, confirm, cancel bool }

// Has says whether the branch has this leg.
func (l Legs) Has(op Op) bool {
	switch op {
	case Try:
		return l.try
	case Confirm:
		return l.confirm
	case Cancel:
		return l.cancel
	default:
		return false
	}
}

// String is as Tercet-Legs has it: "try,confirm,cancel", or a part of that.
func (l Legs) String() string {
	var has []string
	for _, op := range allOps {
		if l.Has(op) {
			has = append(has, string(op))
		}
	}
	return strings.Join(has, ",")
}

func parseLegs(text string) (Legs, error) {
	var legs Legs
	for _, word := range strings.Split(text, ",") {
		op, err := parseOp(strings.TrimSpace(word))
		if err != nil {
			return Legs{}, err
		}
		switch op {
		case Try:
			legs.try = true
		case Confirm:
			legs.confirm = true
		case Cancel:
			legs.cancel = true
		}
	}
	return legs, nil
}
