package systemd

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The descriptors are numbers of the whole process, so a process of its own plays the service: this test binary, told by the
// variable to greet one client on each socket it was handed.
func TestMain(m *testing.M) {
	if os.Getenv("UKAI_TEST_SERVICE") == "" {
		os.Exit(m.Run())
	}
	sockets, err := Inherited()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if left := os.Getenv("LISTEN_FDS") + os.Getenv("LISTEN_PID") + os.Getenv("LISTEN_FDNAMES"); left != "" {
		fmt.Println("the variables are left:", left)
		os.Exit(1)
	}
	for _, name := range []string{"smtp", "http", "unknown"} {
		for _, l := range sockets.Take(name) {
			conn, err := l.Accept()
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			io.WriteString(conn, name)
			conn.Close()
		}
	}
	fmt.Print(len(sockets), " left")
	sockets.Close()
}

// service runs this binary with files as descriptors 3 and up. LISTEN_PID must be the service's own number: a shell that
// becomes the service knows it.
func service(t *testing.T, files []*os.File, env string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", env+` exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), "UKAI_TEST_SERVICE=1")
	cmd.ExtraFiles = files
	return cmd
}

func listen(t *testing.T, network, address string) (*os.File, net.Addr) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close(); l.Close() })
	return f, l.Addr()
}

func TestSocketsAreTakenOverByName(t *testing.T) {
	a, addrA := listen(t, "tcp", "127.0.0.1:0")
	b, addrB := listen(t, "tcp", "127.0.0.1:0")
	c, addrC := listen(t, "unix", filepath.Join(t.TempDir(), "http"))
	cmd := service(t, []*os.File{a, b, c}, "LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=smtp::http")
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, addr := range []net.Addr{addrA, addrC, addrB} {
		conn, err := net.Dial(addr.Network(), addr.String())
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(conn)
		if err != nil {
			t.Error(err)
		}
		conn.Close()
		got = append(got, string(said))
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, out.String())
	}
	if want := []string{"smtp", "http", "unknown"}; !slices.Equal(got, want) {
		t.Errorf("the sockets answer %q, want %q", got, want)
	}
	if out.String() != "0 left" {
		t.Errorf("the service says %q", out.String())
	}
}

func TestWhatIsNotForUsIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		env, want string
		ok        bool
	}{
		"no variables":            {"", "0 left", true},
		"for another process":     {"LISTEN_PID=1 LISTEN_FDS=1", "0 left", true},
		"a number that is none":   {"LISTEN_PID=$$ LISTEN_FDS=many", `LISTEN_FDS is "many"`, false},
		"a number below zero":     {"LISTEN_PID=$$ LISTEN_FDS=-1", `LISTEN_FDS is "-1"`, false},
		"a file instead of one":   {"LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=smtp", "take over socket 3 (smtp)", false},
		"more than were handed":   {"LISTEN_PID=$$ LISTEN_FDS=2", "take over socket 4 (unknown)", false},
		"none at all, but for us": {"LISTEN_PID=$$ LISTEN_FDS=0", "0 left", true},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			out, err := service(t, []*os.File{f}, c.env).Output()
			if (err == nil) != c.ok || !strings.Contains(string(out), c.want) {
				t.Errorf("the service says %q and ends with %v; want %q", out, err, c.want)
			}
		})
	}
}
