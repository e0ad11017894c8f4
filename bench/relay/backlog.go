package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"ukai/internal/mail"
	"ukai/internal/queue"
)

// fillEnv makes this program the child that fills a queue and then dies by SIGKILL, as a crash would leave it.
const fillEnv = "UKAI_BENCH_FILL"

// fill makes a queue with n deferred messages in dir, by a child that is killed.
func fill(dir string, n int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), fillEnv+"="+strconv.Itoa(n)+":"+dir)
	cmd.Stderr = os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return nil
	}
	return fmt.Errorf("fill the queue: %w", err)
}

// fillChild does the work of the child.
func fillChild(n int, dir string) error {
	q, err := queue.Open(filepath.Join(dir, "queue"), queue.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make(chan error, 64)
	for w := range 64 {
		all.Go(func() {
			for i := w; i < n; i += 64 {
				if err := put(q, i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	deferred := make(chan error, 1)
	go func() { deferred <- deferAll(q, n) }()
	all.Wait()
	select {
	case err := <-errs:
		return err
	case err := <-deferred:
		if err != nil {
			return err
		}
	}
	time.Sleep(2 * time.Second) // the last settlements and the index reach the disk
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func put(q *queue.Embedded, i int) error {
	env := &mail.Envelope{From: "backlog@source.example", Recipients: []mail.Recipient{{Addr: fmt.Sprintf("u%d@d%d.example", i, i%1000)}}}
	d, err := q.Create(env)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(d, "Subject: waiting\r\n\r\n"+filler); err != nil {
		return err
	}
	return d.Commit(context.Background(), nil)
}

var filler = string(make4k())

func make4k() []byte {
	b := make([]byte, 0, 4096)
	for len(b) < 4000 {
		b = append(b, "a line of a message that has to wait for its receiver\r\n"...)
	}
	return b
}

// deferAll settles n deliveries as due tomorrow.
func deferAll(q *queue.Embedded, n int) error {
	ctx := context.Background()
	for n > 0 {
		batch, err := q.Lease(ctx, queue.LeaseQuery{Now: time.Now(), Max: 1000})
		if err != nil {
			return err
		}
		for _, d := range batch {
			next := queue.DeliveryState{Attempts: 1, Due: time.Now().Add(24 * time.Hour), Last: "451 4.3.0 try again later"}
			if err := q.Settle(queue.Settlement{Key: d.Key, Next: next}); err != nil {
				return err
			}
		}
		if n -= len(batch); len(batch) == 0 {
			select {
			case <-q.Wake():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}
