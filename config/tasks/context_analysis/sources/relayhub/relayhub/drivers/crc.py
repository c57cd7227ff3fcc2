def modbus(data: bytes) -> int:
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value


def dallas(data: bytes) -> int:
    value = 0
    for byte in data:
        for _ in range(8):
            mix = (value ^ byte) & 1
            value >>= 1
            if mix:
                value ^= 0x8C
            byte >>= 1
    return value
