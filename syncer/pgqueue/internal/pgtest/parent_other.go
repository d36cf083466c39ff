//go:build unix && !linux

package pgtest

import "syscall"

func stopWithParent(*syscall.SysProcAttr) {}
