package queue_test

import (
	"testing"

	"ukai/internal/queue"
	"ukai/internal/queue/storetest"
)

func TestEmbeddedKeepsThePromisesOfAStore(t *testing.T) {
	for name, opts := range map[string]queue.Options{"as it is": {}, "in a hurry": queue.Hasty()} {
		t.Run(name, func(t *testing.T) {
			dirs := make(map[queue.Store]string)
			open := func(t *testing.T, dir string) queue.Store {
				t.Helper()
				s, err := queue.Open(dir, opts)
				if err != nil {
					t.Fatal(err)
				}
				dirs[s] = dir
				return s
			}
			storetest.Run(t,
				func(t *testing.T) queue.Store { return open(t, t.TempDir()) },
				func(t *testing.T, s queue.Store) queue.Store {
					t.Helper()
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					return open(t, dirs[s])
				})
		})
	}
}
