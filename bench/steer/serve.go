package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"ukai/internal/health"
	"ukai/internal/provider"
	"ukai/internal/steer"
	"ukai/internal/store"
)

// domain is the nth of the domains that are known; each fifth is Google's, which is blocked.
func domain(n int) string { return "d" + strconv.Itoa(n) + ".customer.example" }

func server(kind string, domains int, hang bool) error {
	if kind == "echo" {
		return echo()
	}
	dir, err := os.MkdirTemp("", "ukai-bench-steer-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, db, err := open(dir, domains, hang)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := s.Set(context.Background(), []steer.Server{{Name: "web1", Egress: "direct", Answer: "ukai:[127.0.0.1]:2525, {domain}"}}); err != nil {
		return err
	}
	l, err := steer.Listen(context.Background(), steer.ListenOptions{Address: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	if !hang {
		s.Learn(context.Background(), domain, domains)
	} else {
		go func() { _ = s.Run(context.Background()) }() // to the end of the process
	}
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		fmt.Println(int64(s.Status()[0].P99))
	}()
	return s.Serve(context.Background(), l)
}

// open makes a Steer over which Google is shut.
func open(dir string, domains int, hang bool) (*steer.Steer, *store.DB, error) {
	cat, err := provider.Load()
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(filepath.Join(dir, "ukai.db"), false)
	if err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.DiscardHandler)
	book := health.New(health.Options{}, log)
	book.Block(health.Key{Egress: "direct", Provider: "google"}, health.Pin{At: time.Now()})
	n := 0
	s, err := steer.Open(context.Background(), steer.Parts{Health: book, Providers: cat, DB: db, Log: log,
		Receives: func(ctx context.Context, _ string) provider.ID {
			if hang {
				<-ctx.Done()
				return ""
			}
			if n++; n%5 == 0 {
				return "google"
			}
			return "p" + strconv.Itoa(n%1000) + ".example"
		}}, steer.Options{Domains: domains + domains/4, Keep: 24 * time.Hour})
	return s, db, err
}

// echo answers each netstring with an answer that is always the same, as simply as can be.
func echo() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			in, out := bufio.NewReader(c), bufio.NewWriter(c)
			for {
				head, err := in.ReadSlice(':')
				if err != nil {
					return
				}
				n, err := strconv.Atoi(string(head[:len(head)-1]))
				if err != nil {
					return
				}
				if _, err := io.CopyN(io.Discard, in, int64(n)+1); err != nil {
					return
				}
				_, _ = out.WriteString("9:NOTFOUND ,") // Flush tells
				if in.Buffered() == 0 && out.Flush() != nil {
					return
				}
			}
		}()
	}
}
