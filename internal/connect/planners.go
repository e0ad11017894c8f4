package connect

import (
	"ukai/internal/mtaconf"
)

// Planners returns the planners for all kinds of mail server that can be connected.
func Planners() []mtaconf.Planner {
	return []mtaconf.Planner{}
}
