//go:build !unix

package pgtest

import "syscall"

func own(...string) error { return nil }

func asUser() *syscall.SysProcAttr { return nil }
