package store

import (
	"path/filepath"
	"testing"
)

func TestMigrateRunsEachStepOnceAndRefusesALaterDatabase(t *testing.T) {
	db, err := Open(filepath.Join(t.TempDir(), "a b?.db"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	one, two := `CREATE TABLE x (a INTEGER)`, `ALTER TABLE x ADD COLUMN b INTEGER`
	for _, steps := range [][]string{{one}, {one, two}, {one, two}} {
		if err := db.Migrate(t.Context(), "x", steps...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Write.Exec(`INSERT INTO x (a, b) VALUES (1, 2)`); err != nil {
		t.Fatal(err)
	}
	var b int
	if err := db.Read.QueryRow(`SELECT b FROM x`).Scan(&b); err != nil || b != 2 {
		t.Fatalf("read %d, %v", b, err)
	}
	if err := db.Migrate(t.Context(), "x", one); err == nil {
		t.Error("a database of a later version was accepted")
	}
}
