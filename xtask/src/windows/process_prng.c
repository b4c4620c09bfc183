/* For tests alone: the library bcryptprimitives.dll of Windows, from which Rust's std draws random bytes, and which wine 8
   lacks. What it exports stands in Microsoft's reference of ProcessPrng, and in that of RtlGenRandom what it calls. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
{
    return SystemFunction036(buffer, (ULONG)length);
}
