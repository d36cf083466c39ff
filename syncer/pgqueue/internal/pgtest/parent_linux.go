package pgtest

import "syscall"

// stopWithParent has the server stop when the process that started it is gone,
// however it ended.
func stopWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
