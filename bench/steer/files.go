package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"ukai/internal/mtaconf"
	"ukai/internal/steer"
)

const fileDomains = 100_000

// files measures how long it takes to write a file of routes anew, beside postmap of Postfix over the same file.
func files() error {
	dir, err := os.MkdirTemp("", "ukai-bench-steer-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, db, err := open(dir, 1000, false)
	if err != nil {
		return err
	}
	defer db.Close()
	f := mtaconf.RouteFile{Path: "/transport", Format: mtaconf.PostfixTransport, Value: "ukai:[127.0.0.1]:2525, {domain}"}
	if err := s.Set(context.Background(), []steer.Server{{Name: "web1", Egress: "direct", Root: dir, Files: []mtaconf.RouteFile{f}}}); err != nil {
		return err
	}
	for i := range fileDomains {
		s.Seen("web1", domain(i), "google", time.Now())
	}
	var took time.Duration
	for range 5 { // the best of five: the disk is everybody's
		if err := os.WriteFile(filepath.Join(dir, "transport"), nil, 0o644); err != nil {
			return err
		}
		began := time.Now()
		d, _ := s.Detours("web1")
		changed, routes, err := steer.WriteRoutes(dir, &f, &d)
		if err != nil || !changed || routes != fileDomains {
			return fmt.Errorf("%d routes were written: %w", routes, err)
		}
		if once := time.Since(began); took == 0 || once < took {
			took = once
		}
	}
	fmt.Printf("a file of %d routes, synced: %v\n", fileDomains, took.Round(time.Millisecond))
	postmap, err := exec.LookPath("postmap")
	if errors.Is(err, exec.ErrNotFound) {
		fmt.Println("postmap is not here to compare")
		return nil
	}
	if err := os.WriteFile(filepath.Join(dir, "main.cf"), []byte("compatibility_level = 3.6\n"), 0o644); err != nil {
		return err
	}
	began := time.Now()
	cmd := exec.Command(postmap, "-c", dir, "hash:"+filepath.Join(dir, "transport"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("postmap: %w: %s", err, out)
	}
	other := time.Since(began)
	fmt.Printf("postmap hash: over the same file: %v; ukai / postmap: %.2f\n", other.Round(time.Millisecond), took.Seconds()/other.Seconds())
	return nil
}
