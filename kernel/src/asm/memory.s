# memcpy, memmove, memset, memcmp and bcmp: what the compiler calls, and what the precompiled core
# library expects of a C library. In assembly because a loop in Rust would be compiled to a call of
# itself. Up to 64 bytes by overlapping loads and stores, all loads first, so that direction does not
# matter; from 512 bytes on by the string instructions, which since 2013 (ERMS) move cache lines. They
# count words and not bytes: a processor does not care, an emulator takes each step by itself.

.section .text
.balign 16
.global penstock_memmove
penstock_memmove:
    mov rax, rdi
    cmp rdx, 16
    jb 3f
    cmp rdx, 32
    ja 1f
    movups xmm0, [rsi]
    movups xmm1, [rsi + rdx - 16]
    movups [rdi], xmm0
    movups [rdi + rdx - 16], xmm1
    ret
1:  cmp rdx, 64
    ja 6f
    movups xmm0, [rsi]
    movups xmm1, [rsi + 16]
    movups xmm2, [rsi + rdx - 32]
    movups xmm3, [rsi + rdx - 16]
    movups [rdi], xmm0
    movups [rdi + 16], xmm1
    movups [rdi + rdx - 32], xmm2
    movups [rdi + rdx - 16], xmm3
    ret
3:  cmp edx, 8
    jb 4f
    mov rcx, [rsi]
    mov r8, [rsi + rdx - 8]
    mov [rdi], rcx
    mov [rdi + rdx - 8], r8
    ret
4:  cmp edx, 4
    jb 5f
    mov ecx, [rsi]
    mov r8d, [rsi + rdx - 4]
    mov [rdi], ecx
    mov [rdi + rdx - 4], r8d
    ret
5:  test edx, edx
    jz 2f
    movzx ecx, byte ptr [rsi]
    movzx r8d, byte ptr [rsi + rdx - 1]
    mov r9, rdx
    shr r9, 1
    movzx r10d, byte ptr [rsi + r9]
    mov [rdi], cl
    mov [rdi + r9], r10b
    mov [rdi + rdx - 1], r8b
2:  ret
    # More than 64 bytes. Forwards is right unless the destination begins inside the source.
6:  mov rcx, rdi
    sub rcx, rsi
    cmp rcx, rdx
    jb 8f
    cmp rdx, 512
    jae 9f
    # The last 64 bytes are loaded first: the loop may have written over them.
    movups xmm4, [rsi + rdx - 64]
    movups xmm5, [rsi + rdx - 48]
    movups xmm6, [rsi + rdx - 32]
    movups xmm7, [rsi + rdx - 16]
    lea r8, [rdi + rdx - 64]
7:  movups xmm0, [rsi]
    movups xmm1, [rsi + 16]
    movups xmm2, [rsi + 32]
    movups xmm3, [rsi + 48]
    movups [rdi], xmm0
    movups [rdi + 16], xmm1
    movups [rdi + 32], xmm2
    movups [rdi + 48], xmm3
    add rsi, 64
    add rdi, 64
    cmp rdi, r8
    jb 7b
    movups [r8], xmm4
    movups [r8 + 16], xmm5
    movups [r8 + 32], xmm6
    movups [r8 + 48], xmm7
    ret
    # Whole words from the beginning; the last word, which may overlap them, is loaded before.
9:  mov r8, [rsi + rdx - 8]
    lea r9, [rdi + rdx - 8]
    mov rcx, rdx
    shr rcx, 3
    rep movsq
    mov [r9], r8
    ret
    # Backwards, in steps of 64 bytes from the end; the first 64 are loaded first.
8:  movups xmm4, [rsi]
    movups xmm5, [rsi + 16]
    movups xmm6, [rsi + 32]
    movups xmm7, [rsi + 48]
    lea r8, [rdi + 64]
    add rsi, rdx
    add rdi, rdx
1:  movups xmm0, [rsi - 64]
    movups xmm1, [rsi - 48]
    movups xmm2, [rsi - 32]
    movups xmm3, [rsi - 16]
    movups [rdi - 64], xmm0
    movups [rdi - 48], xmm1
    movups [rdi - 32], xmm2
    movups [rdi - 16], xmm3
    sub rsi, 64
    sub rdi, 64
    cmp rdi, r8
    ja 1b
    movups [rax], xmm4
    movups [rax + 16], xmm5
    movups [rax + 32], xmm6
    movups [rax + 48], xmm7
    ret

.balign 16
.global penstock_memset
penstock_memset:
    mov r9, rdi
    movzx eax, sil
    mov r8, 0x0101010101010101
    imul rax, r8
    cmp rdx, 512
    jae 4f
    cmp rdx, 16
    jb 2f
    movq xmm0, rax
    punpcklqdq xmm0, xmm0
    lea r8, [rdi + rdx - 16]
1:  movups [rdi], xmm0
    add rdi, 16
    cmp rdi, r8
    jb 1b
    movups [r8], xmm0
    mov rax, r9
    ret
2:  cmp edx, 8
    jb 3f
    mov [rdi], rax
    mov [rdi + rdx - 8], rax
    mov rax, r9
    ret
3:  mov ecx, edx
    rep stosb
    mov rax, r9
    ret
4:  mov rcx, rdx
    shr rcx, 3
    mov [rdi + rdx - 8], rax
    rep stosq
    mov rax, r9
    ret

.balign 16
.global penstock_memcmp
penstock_memcmp:
    xor ecx, ecx
    mov r8, rdx
    and r8, -8
    jz 2f
1:  mov rax, [rdi + rcx]
    mov r9, [rsi + rcx]
    cmp rax, r9
    jne 4f
    add rcx, 8
    cmp rcx, r8
    jb 1b
2:  cmp rcx, rdx
    jae 3f
    movzx eax, byte ptr [rdi + rcx]
    movzx r9d, byte ptr [rsi + rcx]
    sub eax, r9d
    jne 5f
    inc rcx
    jmp 2b
3:  xor eax, eax
    ret
4:  bswap rax
    bswap r9
    cmp rax, r9
    sbb eax, eax
    or eax, 1
5:  ret
