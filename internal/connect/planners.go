package connect

import (
	"ukai/internal/mtaconf"
	"ukai/internal/mtaconf/exim"
	"ukai/internal/mtaconf/opensmtpd"
	"ukai/internal/mtaconf/plesk"
	"ukai/internal/mtaconf/postfix"
	"ukai/internal/mtaconf/qmail"
	"ukai/internal/mtaconf/sendmail"
)

// Planners returns the planners for all kinds of mail server that can be connected.
func Planners() []mtaconf.Planner {
	return []mtaconf.Planner{postfix.New(), exim.New(), sendmail.New(), qmail.New(), opensmtpd.New(), plesk.New()}
}
