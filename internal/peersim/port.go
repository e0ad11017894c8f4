package peersim

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// FreePort returns a TCP and UDP port of 127.0.0.1 that nobody has, for a server that cannot say which one it was given. It lies
// below those that the system gives to connections: nobody else comes by it, and a client that waits for the server by knocking
// does not get it for its own end and shut the server out.
func FreePort() (int, error) {
	for range 1000 {
		port := 10_000 + rand.IntN(20_000)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		c, err := net.ListenPacket("udp", addr)
		_ = l.Close() // only asked for
		if err != nil {
			continue
		}
		_ = c.Close() // only asked for
		return port, nil
	}
	return 0, fmt.Errorf("no free port of 127.0.0.1 was found below 30000")
}
