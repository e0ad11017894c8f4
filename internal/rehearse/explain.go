package rehearse

import (
	"errors"
	"syscall"

	"ukai/internal/i18n"
)

// explain says what to do when the stage cannot be set up. On Linux every address in 127.0.0.0/8 is there; elsewhere, and in
// some containers, only those that somebody has given to the loopback interface.
func explain(err error) error {
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return i18n.Errorf("rehearse.loopback", "cause", err)
	}
	return err
}
