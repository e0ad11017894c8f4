package peersim

import (
	"fmt"
	"net"
	"testing"
)

func TestAFreePortIsNoneThatAConnectionCanHave(t *testing.T) {
	for range 20 {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if port < 10_000 || port >= 30_000 {
			t.Errorf("port %d", port)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}
