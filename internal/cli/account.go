package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ukai/internal/account"
	"ukai/internal/i18n"
	"ukai/internal/store"
)

func newAccount(e *env) *cobra.Command {
	return e.group("account", "cli.account.", newAccountAdd(e), newAccountList(e), newAccountPassword(e), newAccountLimit(e),
		newAccountDomains(e), newAccountSuspend(e), newAccountResume(e), newAccountDelete(e))
}

// withAccounts opens the book of accounts in the data directory, whether ukai runs or not.
func (e *env) withAccounts(ctx context.Context, f func(*account.Book) error) error {
	dir, err := e.dataDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return i18n.Errorf("app.data.make", "dir", dir, "cause", err)
	}
	db, err := store.Open(filepath.Join(dir, "ukai.db"), true)
	if err != nil {
		return err
	}
	book, err := account.Open(ctx, db, account.Options{})
	if err == nil {
		err = f(book)
	}
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	return err
}

// password reads a password: a line of standard input, or, when there is none to read, one made up and shown.
func (e *env) password(generate bool) (text string, made bool, err error) {
	if generate {
		return rand.Text(), true, nil
	}
	if f, ok := e.in.(*os.File); ok && terminal(f) {
		e.printf("%s", e.text("cli.account.prompt"))
	}
	line, err := bufio.NewReader(e.in).ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", false, usage("cli.account.no_password")
	}
	if errors.Is(err, io.EOF) { // a line without an end is a line
		err = nil
	}
	return line, false, err
}

func newAccountAdd(e *env) *cobra.Command {
	var domains []string
	var generate bool
	var limits account.Limits
	cmd := e.command("add NAME", "cli.account.add.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		if len(domains) == 0 {
			return usage("cli.account.no_domain", "name", a[0])
		}
		pw, made, err := e.password(generate)
		if err != nil {
			return err
		}
		return e.withAccounts(cmd.Context(), func(b *account.Book) error {
			if err := b.Add(cmd.Context(), account.Account{Name: a[0], Domains: domains, Limits: limits}, pw); err != nil {
				return err
			}
			return e.showSecret("cli.account.added", a[0], pw, made)
		})
	})
	cmd.Flags().StringSliceVar(&domains, "domain", nil, e.text("cli.account.flag.domain"))
	cmd.Flags().BoolVar(&generate, "generate", false, e.text("cli.account.flag.generate"))
	limitFlags(e, cmd, &limits)
	return cmd
}

func limitFlags(e *env, cmd *cobra.Command, l *account.Limits) {
	cmd.Flags().IntVar(&l.MessagesPerHour, "messages-per-hour", 0, e.text("cli.account.flag.messages"))
	cmd.Flags().IntVar(&l.RecipientsPerDay, "recipients-per-day", 0, e.text("cli.account.flag.recipients"))
}

// showSecret says that it is done and, once, the password that was made up.
func (e *env) showSecret(key, name, pw string, made bool) error {
	out := map[string]string{"account": name}
	if made {
		out["password"] = pw
	}
	return e.show(out, func(w io.Writer) {
		fmt.Fprintln(w, e.text(key, "name", name))
		if made {
			fmt.Fprintln(w, e.text("cli.account.made", "password", pw))
		}
	})
}

func newAccountList(e *env) *cobra.Command {
	return e.command("list", "cli.account.list.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		return e.withAccounts(cmd.Context(), func(b *account.Book) error {
			list, err := b.List(cmd.Context())
			if err != nil {
				return err
			}
			if list == nil {
				list = []*account.Account{}
			}
			return e.show(list, func(w io.Writer) { e.listAccounts(w, list) })
		})
	})
}

func (e *env) listAccounts(w io.Writer, list []*account.Account) {
	if len(list) == 0 {
		fmt.Fprintln(w, e.text("cli.account.list.none"))
		return
	}
	t := newTable(e.text("cli.account.col.name"), e.text("cli.account.col.domains"), e.text("cli.account.col.hour"), e.text("cli.account.col.day"), e.text("cli.account.col.state"))
	for _, a := range list {
		state := e.text("cli.account.active")
		if !a.Suspended.IsZero() {
			state = e.text("cli.account.suspended", "since", a.Suspended, "why", a.Reason)
		}
		t.row(a.Name, strings.Join(a.Domains, " "), e.limit(a.Limits.MessagesPerHour), e.limit(a.Limits.RecipientsPerDay), state)
	}
	t.write(w)
}

func (e *env) limit(n int) string {
	if n == 0 {
		return e.text("cli.account.unlimited")
	}
	return strconv.Itoa(n)
}

func newAccountPassword(e *env) *cobra.Command {
	var generate bool
	cmd := e.command("password NAME", "cli.account.password.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		pw, made, err := e.password(generate)
		if err != nil {
			return err
		}
		return e.withAccounts(cmd.Context(), func(b *account.Book) error {
			if err := b.SetPassword(cmd.Context(), a[0], pw); err != nil {
				return err
			}
			return e.showSecret("cli.account.changed", a[0], pw, made)
		})
	})
	cmd.Flags().BoolVar(&generate, "generate", false, e.text("cli.account.flag.generate"))
	return cmd
}

// accountChange makes a command that changes one account and says so.
func (e *env) accountChange(use, prefix, done string, most int, change func(ctx context.Context, b *account.Book, a []string) error) *cobra.Command {
	return e.command(use, prefix, args(1, most), func(cmd *cobra.Command, a []string) error {
		return e.withAccounts(cmd.Context(), func(b *account.Book) error {
			if err := change(cmd.Context(), b, a); err != nil {
				return err
			}
			return e.show(map[string]string{"account": a[0]}, func(w io.Writer) { fmt.Fprintln(w, e.text(done, "name", a[0])) })
		})
	})
}

func newAccountLimit(e *env) *cobra.Command {
	var limits account.Limits
	cmd := e.accountChange("limit NAME", "cli.account.limit.", "cli.account.changed", 1, func(ctx context.Context, b *account.Book, a []string) error {
		return b.SetLimit(ctx, a[0], limits)
	})
	limitFlags(e, cmd, &limits)
	return cmd
}

func newAccountDomains(e *env) *cobra.Command {
	return e.accountChange("domains NAME DOMAIN...", "cli.account.domains.", "cli.account.changed", -1, func(ctx context.Context, b *account.Book, a []string) error {
		return b.SetDomains(ctx, a[0], a[1:])
	})
}

func newAccountSuspend(e *env) *cobra.Command {
	var reason string
	cmd := e.accountChange("suspend NAME", "cli.account.suspend.", "cli.account.suspended.done", 1, func(ctx context.Context, b *account.Book, a []string) error {
		return b.Suspend(ctx, a[0], reason)
	})
	cmd.Flags().StringVar(&reason, "why", "", e.text("cli.account.flag.why"))
	return cmd
}

func newAccountResume(e *env) *cobra.Command {
	return e.accountChange("resume NAME", "cli.account.resume.", "cli.account.resumed", 1, func(ctx context.Context, b *account.Book, a []string) error {
		return b.Resume(ctx, a[0])
	})
}

func newAccountDelete(e *env) *cobra.Command {
	return e.accountChange("delete NAME", "cli.account.delete.", "cli.account.deleted", 1, func(ctx context.Context, b *account.Book, a []string) error {
		return b.Delete(ctx, a[0])
	})
}
