# From a boot loader's 32-bit protected mode to Rust. Paging is off, the rest of the processor is as
# PVH and Multiboot2 both promise: flat segments, interrupts off, physical addresses.
# The early tables map the first 4 GB with pages of 2 MB, all of it writable and executable, until
# `paging` has built what stays.

.section .multiboot, "a"
.balign 8
multiboot_header:
    .long 0xe85250d6                    # magic
    .long 0                             # i386, protected mode
    .long multiboot_header_end - multiboot_header
    .long 0x100000000 - (0xe85250d6 + (multiboot_header_end - multiboot_header))
    .short 1, 0                         # information request
    .long 12
    .long 6                             # the memory map: without it we cannot do
    .balign 8
    .short 0, 0                         # end
    .long 8
multiboot_header_end:

.section .note.pvh, "a", @note
.balign 4
    .long 4                             # bytes of the name
    .long 4                             # bytes of the entry's address
    .long 18                            # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start

.section .text.entry, "ax"
.code32
.global pvh_start
pvh_start:
    mov eax, 0x336ec578                 # as Multiboot2 does by itself: the protocol, by its magic
.global multiboot_start
multiboot_start:
    cli
    cld
    mov esp, offset __boot_stack_top
    mov edi, eax                        # the protocol
    mov esi, ebx                        # its information

    # 2048 pages of 2 MB: present, writable, large.
    mov ebx, offset early_pages
    mov eax, 0x83
    mov ecx, 2048
1:  mov [ebx], eax
    mov dword ptr [ebx + 4], 0
    add ebx, 8
    add eax, 0x200000
    loop 1b
    # Four directories of 1 GB.
    mov ebx, offset early_directories
    mov eax, offset early_pages
    or eax, 3
    mov ecx, 4
2:  mov [ebx], eax
    add ebx, 8
    add eax, 4096
    loop 2b
    mov eax, offset early_directories
    or eax, 3
    mov [early_root], eax
    mov eax, offset early_root
    mov cr3, eax

    mov eax, cr4
    or eax, 0x620                       # PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    mov ecx, 0xc0000080                 # EFER: long mode, no-execute
    rdmsr
    or eax, 0x900
    wrmsr
    mov eax, cr0
    and eax, 0xfffffffb                 # no emulation: SSE before any Rust
    or eax, 0x80010023                  # paging, write protection, numeric errors, monitor, protected
    mov cr0, eax
    lgdt [early_gdt_pointer]
    push 8
    mov eax, offset long_start
    push eax
    retf

.code64
long_start:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov edi, edi
    mov esi, esi
    mov esp, offset __boot_stack_top
    xor ebp, ebp                        # a backtrace ends here
    call kernel_boot
    ud2

.section .rodata
.balign 8
early_gdt:
    .quad 0
    .quad 0x00af9b000000ffff            # code, 64-bit
    .quad 0x00cf93000000ffff            # data
early_gdt_pointer:
    .short 23
    .long early_gdt
    .long 0

.section .bss
.balign 4096
early_root:
    .skip 4096
early_directories:
    .skip 4096
early_pages:
    .skip 16384

# The page below the stack is taken out of the map: an overflow faults and is named.
.section .stack, "aw", @nobits
.balign 4096
.global __boot_stack_guard
__boot_stack_guard:
    .skip 4096
    .skip 262144
.global __boot_stack_top
__boot_stack_top:

.section .text
