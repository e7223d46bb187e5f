# What another core runs first: 16-bit real mode, at a page below one megabyte whose number was in
# the start-up message. Copied there; straight from real mode to long mode, on the kernel's own
# tables. `cores` fills in the three words at the end for one core at a time.

.set gdt_pointer_offset, trampoline_gdt_pointer - __trampoline
.set tables_offset, trampoline_tables - __trampoline

.section .rodata
.balign 16
.global __trampoline
__trampoline:
.code16
    cli
    cld
    mov ax, cs
    mov ds, ax
    lgdt [gdt_pointer_offset]
    mov eax, cr4
    or eax, 0x620                       # PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    mov eax, [tables_offset]
    mov cr3, eax
    mov ecx, 0xc0000080                 # EFER: long mode, no-execute
    rdmsr
    or eax, 0x900
    wrmsr
    mov eax, cr0
    and eax, 0x9ffffffb                 # caches on, no emulation
    or eax, 0x80010023
    mov cr0, eax
    .byte 0x66, 0xea                    # far jump, 32-bit offset
    .long 0x8000 + trampoline_long - __trampoline
    .short 8
.code64
trampoline_long:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov rsp, [rip + trampoline_stack]
    mov rdi, [rip + trampoline_core]
    xor ebp, ebp
    mov rax, offset kernel_core
    call rax
    ud2
.balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
trampoline_gdt_pointer:
    .short 23
    .long 0x8000 + trampoline_gdt - __trampoline
    .long 0
.balign 8
.global __trampoline_words
__trampoline_words:
trampoline_tables:
    .quad 0
trampoline_stack:
    .quad 0
trampoline_core:
    .quad 0
.global __trampoline_end
__trampoline_end:

.section .text
