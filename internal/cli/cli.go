// Package cli is the command line of ukai.
package cli

import (
	"fmt"
	"io"
)

// Main runs one command and returns the exit code.
func Main(_ []string, _ io.Reader, _, stderr io.Writer) int {
	fmt.Fprintln(stderr, "ukai")
	return 3
}
