// Command ukai keeps an organisation's mail flowing when mailbox providers refuse its IP address.
package main

import (
	"os"

	"ukai/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
