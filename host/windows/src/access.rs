//! Access lists: who can reach a file.

use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo,
    SDDL_REVISION_1, SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, DACL_SECURITY_INFORMATION, EqualSid, GetAce, GetTokenInformation,
    INHERIT_ONLY_ACE, IsWellKnownSid, OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID,
    SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser, WinBuiltinAdministratorsSid,
    WinCreatorOwnerRightsSid, WinLocalSystemSid,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use crate::succeeded;

/// Kinds of entries of an access list.
const ALLOWED: u8 = 0;
const DENIED: u8 = 1;

/// Who can reach a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// It belongs neither to this user nor to the administrators or the system.
    pub foreign: bool,
    /// Its access list allows anything to somebody else than this user, the administrators and the system.
    pub exposed: bool,
}

/// Memory that the system has allocated, given back when this is dropped.
struct Local(*mut core::ffi::c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: the system has allocated it for us with LocalAlloc, and nothing uses it any more.
        unsafe { LocalFree(self.0) };
    }
}

/// The user that this process runs for, as the token says.
struct User(Vec<u64>);

impl User {
    fn new() -> io::Result<Self> {
        let mut token: HANDLE = null_mut();
        // SAFETY: the handle is ours to write to.
        succeeded(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) })?;
        // Room for the longest identifier of a user, of 68 bytes, and for what is before it; aligned for pointers.
        let mut user = vec![0_u64; 32];
        let mut length = 0;
        // SAFETY: the buffer has room for as many bytes as is stated.
        let read = succeeded(unsafe {
            GetTokenInformation(token, TokenUser, user.as_mut_ptr().cast(), 32 * 8, &raw mut length)
        });
        // SAFETY: it was opened above, and is used no more.
        unsafe { CloseHandle(token) };
        read.map(|()| Self(user))
    }

    fn sid(&self) -> PSID {
        // SAFETY: the system has filled the buffer with this type, and it is aligned for it.
        unsafe { (*self.0.as_ptr().cast::<TOKEN_USER>()).User.Sid }
    }

    /// Whether an identifier is that of this user, or one that reaches every file in any case.
    fn is_or_rules(&self, sid: PSID) -> bool {
        let known = [WinLocalSystemSid, WinBuiltinAdministratorsSid, WinCreatorOwnerRightsSid];
        // SAFETY: the caller has it from the system, and it is valid.
        unsafe {
            EqualSid(sid, self.sid()) != 0 || known.iter().any(|known| IsWellKnownSid(sid, *known) != 0)
        }
    }
}

/// Who can reach an open file.
///
/// # Errors
/// What the system says.
pub fn access(file: &File) -> io::Result<Access> {
    let user = User::new()?;
    let (mut owner, mut list): (PSID, *mut ACL) = (null_mut(), null_mut());
    let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: the handle is open for as long as the file is borrowed; the pointers are ours to write to.
    let error = unsafe {
        GetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
            &raw mut owner,
            null_mut(),
            &raw mut list,
            null_mut(),
            &raw mut descriptor,
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error.cast_signed()));
    }
    // Owner and list point into it.
    let _descriptor = Local(descriptor);
    let foreign = owner.is_null() || !user.is_or_rules(owner);
    // Without a list everybody can reach it.
    // SAFETY: the list is in the descriptor, which lives until the end of this function.
    let exposed = list.is_null() || unsafe { is_exposed(list, &user) };
    Ok(Access { foreign, exposed })
}

/// Whether an access list allows anything to others.
///
/// # Safety
/// The list has to be valid.
unsafe fn is_exposed(list: *const ACL, user: &User) -> bool {
    // SAFETY: the caller says so.
    let count = unsafe { (*list).AceCount };
    (0..u32::from(count)).any(|number| {
        let mut entry = null_mut();
        // SAFETY: the pointer is ours to write to.
        if unsafe { GetAce(list, number, &raw mut entry) } == 0 {
            return true;
        }
        // SAFETY: every entry begins with this header.
        let header = unsafe { *entry.cast::<ACE_HEADER>() };
        if u32::from(header.AceFlags) & INHERIT_ONLY_ACE != 0 || header.AceType == DENIED {
            return false;
        }
        if header.AceType != ALLOWED {
            // A kind that is not known may allow everything.
            return true;
        }
        let allowed = entry.cast::<ACCESS_ALLOWED_ACE>();
        // SAFETY: an entry of this kind has this type. Its last field is where the identifier begins.
        let (mask, sid) = unsafe { ((*allowed).Mask, (&raw mut (*allowed).SidStart).cast()) };
        mask != 0 && !user.is_or_rules(sid)
    })
}

/// An access list that has this user alone, to make files and folders with.
pub(crate) struct OfThisUser {
    attributes: SECURITY_ATTRIBUTES,
    _descriptor: Local,
}

impl OfThisUser {
    pub(crate) fn new() -> io::Result<Self> {
        let user = User::new()?;
        let mut text = null_mut();
        // SAFETY: the identifier is valid, and the pointer is ours to write to.
        succeeded(unsafe { ConvertSidToStringSidW(user.sid(), &raw mut text) })?;
        let allocated = Local(text.cast());
        // SAFETY: the system ends the text with a zero, and it lives until `allocated` is dropped.
        let sid = unsafe {
            let length = (0..).take_while(|at| *text.add(*at) != 0).count();
            String::from_utf16_lossy(std::slice::from_raw_parts(text, length))
        };
        drop(allocated);
        // It inherits nothing, and what is made in a folder inherits it.
        let list = format!("O:{sid}D:P(A;OICI;FA;;;{sid})");
        let list: Vec<u16> = list.encode_utf16().chain([0]).collect();
        let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
        // SAFETY: the text ends with a zero, and the pointer is ours to write to.
        succeeded(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                list.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null::<u32>().cast_mut(),
            )
        })?;
        let length = u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0);
        let attributes =
            SECURITY_ATTRIBUTES { nLength: length, lpSecurityDescriptor: descriptor, bInheritHandle: 0 };
        Ok(Self { attributes, _descriptor: Local(descriptor) })
    }

    /// To be used only while this is there.
    pub(crate) fn attributes(&self) -> &SECURITY_ATTRIBUTES {
        &self.attributes
    }
}
