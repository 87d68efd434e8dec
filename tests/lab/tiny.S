# A guest of 4 KiB that boots at once, in real mode on the BIOS, and uses next to no time of the processor: a machine's "kernel"
# of the oldest kind, which is loaded at 0x90000 and begun at 0x9020:0. It says what guest-init says: "ready", then
# "heartbeat N 0" three times a second, and turns itself off when the power button is pressed. Assembled with DISK, N is what the
# first sector of the disk with bootIndex 1 holds; each beat first writes one more, so that it shows what the disk holds
# wherever it goes. Else it touches no disk. With DEAF it takes no notice of the button.
        .code16
        .text
        .globl start
        .org 0
        .fill 512, 1, 0
start:                                  # cs = 0x9020; here offsets are from 0x90000
        ljmp    $0x9000, $begin
        .org    0x300                   # between them, the loader writes
begin:  cli
        mov     $0x9000, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $0x8000, %sp
        sti
        mov     $0x602, %dx             # the power button's bit of PM1_EN
        mov     $0x100, %ax
        out     %ax, %dx
        mov     $hello, %si
        call    say
        movw    $0, sector
        .ifdef DISK
        mov     $0x42, %ah              # what was there before
        call    disk
        .endif
beat:   incw    sector
        .ifdef DISK
        mov     $0x43, %ah
        xor     %al, %al
        call    disk
        jc      failed
        .endif
        mov     $text, %si
        call    say
        mov     sector, %ax
        call    number
        mov     $end, %si
        call    say
        mov     $6, %cx                 # of the BIOS's 18.2 ticks a second
1:      hlt
        push    %ds
        mov     $0x40, %ax
        mov     %ax, %ds
        mov     0x6c, %ax               # other interrupts wake it too
        pop     %ds
        cmp     %ax, tick
        je      2f
        mov     %ax, tick
        dec     %cx
2:      mov     $0x600, %dx
        in      %dx, %ax
        test    $0x100, %ax
        jnz     button
3:      test    %cx, %cx
        jnz     1b
        jmp     beat
button: out     %ax, %dx                # it is noticed
        mov     $pressed, %si
        push    %cx
        call    say
        pop     %cx
        .ifdef DEAF
        jmp     3b
        .endif
        mov     $0x604, %dx             # PM1_CNT: sleep, of the deepest kind
        mov     $0x2000, %ax
        out     %ax, %dx
9:      hlt
        jmp     9b
failed: mov     $broken, %si
        call    say
4:      hlt
        jmp     4b

disk:   mov     $packet, %si            # of the first disk
        mov     $0x80, %dl
        int     $0x13
        ret

say:    lodsb
        test    %al, %al
        jz      6f
        call    put
        jmp     say
put:    push    %ax
        mov     $0x3fd, %dx
5:      in      %dx, %al
        test    $0x20, %al
        jz      5b
        pop     %ax
        mov     $0x3f8, %dx
        out     %al, %dx
6:      ret

number: mov     $10, %bx                # of ax, in decimal digits
        xor     %cx, %cx
7:      xor     %dx, %dx
        div     %bx
        push    %dx
        inc     %cx
        test    %ax, %ax
        jnz     7b
8:      pop     %ax
        add     $'0', %al
        call    put
        loop    8b
        ret

hello:  .asciz  "ready\n"
text:   .asciz  "heartbeat "
end:    .asciz  " 0\n"
        .ifdef DEAF
pressed: .asciz "power button: ignored\n"
        .else
pressed: .asciz "power button: powering off\n"
        .endif
broken: .asciz  "the disk can't be written\n"
        .balign 16
packet: .byte   16, 0
        .word   1, sector, 0x9000       # one sector, here
        .quad   0
        .org    4096
# Not in the code's page, which the emulator would translate anew each time.
        .set    sector, 0x4000
        .set    tick, 0x4200
