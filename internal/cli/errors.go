package cli

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ukai/internal/config"
	"ukai/internal/i18n"
)

// usageError is a command line that cannot be understood.
type usageError struct{ cause *i18n.Error }

func (u *usageError) Error() string { return u.cause.Error() }
func (u *usageError) Unwrap() error { return u.cause }

// usage makes a usageError of a key of the catalogue.
func usage(key string, args ...any) error { return &usageError{i18n.Errorf(key, args...)} }

// exitError ends with a code of its own. Without a cause everything was said already.
type exitError struct {
	code  int
	cause error
}

func (x *exitError) Error() string {
	if x.cause == nil {
		return "what was found has been told"
	}
	return x.cause.Error()
}
func (x *exitError) Unwrap() error { return x.cause }

// errFound is returned by a check that has shown what it found.
var errFound = &exitError{code: exitFailed}

// unknown makes an error that ends with exitUnknown: it could not be found out, or it was undone.
func unknown(cause error) error { return &exitError{exitUnknown, cause} }

// flagError puts what the flag library says into words of the catalogue.
func flagError(cmd *cobra.Command, err error) error {
	var absent *pflag.NotExistError
	var valueless *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &absent):
		return unknownFlag(cmd, absent.GetSpecifiedName())
	case errors.As(err, &valueless):
		return usage("cli.usage.flag_value", "flag", dashed(valueless.GetSpecifiedName()))
	case errors.As(err, &invalid):
		return usage("cli.usage.flag_invalid", "flag", "--"+invalid.GetFlag().Name, "value", invalid.GetValue(), "kind", invalid.GetFlag().Value.Type())
	}
	return usage("cli.usage.flag_other", "cause", err)
}

// unknownFlag names the flag that was probably meant.
func unknownFlag(cmd *cobra.Command, name string) error {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if meant := config.Nearest(name, names); meant != "" && len(name) > 1 {
		return usage("cli.usage.flag_meant", "flag", dashed(name), "meant", "--"+meant)
	}
	return usage("cli.usage.flag_unknown", "flag", dashed(name))
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// args returns a check that there are least to most arguments; most < 0: any number.
func args(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		switch {
		case len(given) < least:
			return usage("cli.usage.args_few", "usage", cmd.UseLine())
		case most >= 0 && len(given) > most:
			return usage("cli.usage.args_many", "arg", given[most], "usage", cmd.UseLine())
		}
		return nil
	}
}

// unknownCommand names the command that was probably meant.
func unknownCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	if meant := config.Nearest(name, names); meant != "" {
		return usage("cli.usage.command_meant", "name", name, "meant", cmd.CommandPath()+" "+meant)
	}
	return usage("cli.usage.command", "name", name, "parent", cmd.CommandPath())
}
